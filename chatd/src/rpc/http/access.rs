//! Who sent a request, and whether it came from where it may.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, header};
use chat_protocol::rpc::{Kind, RpcError, Secret};

use super::refusal::Refusal;
use super::{Endpoint, Policy, Web};
use crate::rpc::access::Access;
use crate::rpc::authorize;

/// Names every machine has for itself.
const OWN_HOSTS: &[&str] = &["localhost", "127.0.0.1", "[::1]"];

/// A request that names this machine and comes from no foreign page; nobody asked who sent it.
pub(super) struct Local;

/// The same, from somebody who is known, or who may still say so.
pub(super) struct Guest(pub(super) Access);

/// The same, from somebody who is known.
pub(super) struct Known(pub(super) Access);

impl FromRequestParts<Web> for Local {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Refusal> {
        check_place(&web.endpoint, parts)?;
        Ok(Self)
    }
}

impl FromRequestParts<Web> for Guest {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Refusal> {
        check_place(&web.endpoint, parts)?;
        let access = match bearer(&parts.headers)? {
            Some(token) => web.table.shared.tokens.present(web.table.shared.backend.as_ref(), &token).await?,
            None => web.endpoint.stranger(),
        };
        // somebody without a token, on a connection that showed one, keeps it no longer than that one does
        if !access.is(&Access::Nobody) {
            web.caller.take(access.clone())?;
        }
        Ok(Self(access))
    }
}

impl FromRequestParts<Web> for Known {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Refusal> {
        match Guest::from_request_parts(parts, web).await?.0 {
            Access::Nobody => Err(authorize::nobody().into()),
            access => Ok(Self(access)),
        }
    }
}

/// On the socket any name will do, since no page can get there; an origin is a page all the same.
fn check_place(endpoint: &Endpoint, parts: &Parts) -> Result<(), RpcError> {
    let Policy { hosts, origins } = match endpoint {
        Endpoint::Socket => Policy::default(),
        Endpoint::Port(policy) => policy.borrow().clone(),
    };
    if matches!(endpoint, Endpoint::Port(_)) && !is_own_host(parts, &hosts) {
        return Err(refused("the request names another host").with_hint("`http.hosts` of the configuration names more"));
    }
    let foreign = |origin: &[u8]| !origins.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(origin));
    if parts.headers.get_all(header::ORIGIN).iter().any(|origin| foreign(origin.as_bytes())) {
        let hint = "`http.origins` of the configuration names pages that may";
        return Err(refused("pages of this origin may not call").with_hint(hint));
    }
    Ok(())
}

fn is_own_host(parts: &Parts, more: &[String]) -> bool {
    let mut named = parts.headers.get_all(header::HOST).iter();
    let (Some(host), None) = (named.next(), named.next()) else { return false };
    let Some(host) = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok()) else { return false };
    let mut known = OWN_HOSTS.iter().copied().chain(more.iter().map(String::as_str));
    known.any(|own| own.eq_ignore_ascii_case(host.host()) || own.eq_ignore_ascii_case(host.as_str()))
}

/// The token of the request, if it brings one.
fn bearer(headers: &HeaderMap) -> Result<Option<Secret>, RpcError> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = given.next() else { return Ok(None) };
    let wrong = || RpcError::new(Kind::Unauthenticated, "write `Authorization: Bearer TOKEN`");
    let text = value.to_str().map_err(|_| wrong())?;
    let (scheme, token) = text.split_once(' ').ok_or_else(wrong)?;
    if given.next().is_some() || !scheme.eq_ignore_ascii_case("bearer") {
        return Err(wrong());
    }
    Ok(Some(Secret::new(token.trim().to_owned())))
}

fn refused(why: &str) -> RpcError {
    RpcError::new(Kind::ForbiddenScope, why)
}
