//! How a log is kept in own storage.

use minicbor::{Decode, Encode};

use super::AccountLog;
use crate::ids::Username;
use crate::message::Blob;

#[derive(Encode, Decode)]
#[cbor(map)]
struct Stored {
    #[n(0)]
    user: Username,
    #[n(1)]
    entries: Vec<Blob>,
}

impl<C> Encode<C> for AccountLog {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        let entries = self.entries.iter().cloned().map(Blob).collect();
        Stored { user: self.user.clone(), entries }.encode(e, ctx)
    }
}

/// For own storage only: signatures are not verified again. What comes from others goes through [`AccountLog::verify`].
impl<'b, C> Decode<'b, C> for AccountLog {
    fn decode(d: &mut minicbor::Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        let stored = Stored::decode(d, ctx)?;
        let entries: Vec<&[u8]> = stored.entries.iter().map(|entry| &**entry).collect();
        Self::replay(&stored.user, &entries).map_err(|_| minicbor::decode::Error::message("not an account log"))
    }
}
