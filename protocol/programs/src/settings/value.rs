//! What can be a value: how it is read from a file, a variable or an option, and how it is shown.

use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use toml::Value;

/// A value as it was said.
#[derive(Clone)]
pub enum RawSetting {
    /// By a variable or an option.
    Text(OsString),
    /// In a file.
    Toml(Value),
}

impl RawSetting {
    /// The text that was said, if it is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => text.to_str(),
            Self::Toml(value) => value.as_str(),
        }
    }

    fn number(&self) -> Option<i64> {
        match self {
            Self::Text(text) => text.to_str()?.parse().ok(),
            Self::Toml(value) => value.as_integer(),
        }
    }
}

/// It may be a password.
impl fmt::Debug for RawSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RawSetting")
    }
}

/// Why something is no value of its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// It is of another kind; this one is wanted.
    Kind(&'static str),
    /// It is refused for this reason.
    Refused(String),
}

/// The type of a value.
pub trait Setting: Sized {
    /// The value that was said.
    ///
    /// # Errors
    /// [`Misfit`], which does not show what was said.
    fn read(raw: &RawSetting) -> Result<Self, Misfit>;

    /// The value as a file has it, passwords left out; absent if nothing is set.
    fn shown(&self) -> Option<Value>;
}

impl<S: Setting> Setting for Option<S> {
    fn read(raw: &RawSetting) -> Result<Self, Misfit> {
        S::read(raw).map(Some)
    }

    fn shown(&self) -> Option<Value> {
        self.as_ref().and_then(S::shown)
    }
}

macro_rules! numbers {
    ($($type:ty)*) => {
        $(impl Setting for $type {
            fn read(raw: &RawSetting) -> Result<Self, Misfit> {
                raw.number().and_then(|number| number.try_into().ok()).ok_or(Misfit::Kind("a whole number"))
            }

            fn shown(&self) -> Option<Value> {
                Some(Value::Integer(i64::try_from(*self).unwrap_or(i64::MAX)))
            }
        })*
    };
}

numbers!(u32 u64 usize);

/// Whole seconds.
impl Setting for Duration {
    fn read(raw: &RawSetting) -> Result<Self, Misfit> {
        u64::read(raw).map(Self::from_secs).map_err(|_| Misfit::Kind("a whole number of seconds"))
    }

    fn shown(&self) -> Option<Value> {
        self.as_secs().shown()
    }
}

impl Setting for String {
    fn read(raw: &RawSetting) -> Result<Self, Misfit> {
        raw.text().map(str::to_owned).ok_or(Misfit::Kind("a text"))
    }

    fn shown(&self) -> Option<Value> {
        Some(Value::String(self.clone()))
    }
}

impl Setting for PathBuf {
    fn read(raw: &RawSetting) -> Result<Self, Misfit> {
        match raw {
            RawSetting::Text(text) => Ok(text.into()),
            RawSetting::Toml(value) => value.as_str().map(Self::from).ok_or(Misfit::Kind("a path")),
        }
    }

    fn shown(&self) -> Option<Value> {
        Some(Value::String(self.display().to_string()))
    }
}

impl Setting for SocketAddr {
    fn read(raw: &RawSetting) -> Result<Self, Misfit> {
        raw.text().and_then(|text| text.parse().ok()).ok_or(Misfit::Kind("an address with a port"))
    }

    fn shown(&self) -> Option<Value> {
        Some(Value::String(self.to_string()))
    }
}

/// A list; where one can only say a text, its parts are parted by commas.
impl Setting for Vec<String> {
    fn read(raw: &RawSetting) -> Result<Self, Misfit> {
        let wrong = Misfit::Kind("a list of texts");
        match raw {
            RawSetting::Text(text) => {
                let text = text.to_str().ok_or(wrong)?;
                Ok(text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect())
            }
            RawSetting::Toml(value) => {
                let texts = value.as_array().and_then(|list| list.iter().map(|text| text.as_str()).collect());
                let texts: Vec<&str> = texts.ok_or(wrong)?;
                Ok(texts.into_iter().map(str::to_owned).collect())
            }
        }
    }

    fn shown(&self) -> Option<Value> {
        Some(Value::Array(self.iter().cloned().map(Value::String).collect()))
    }
}
