//! The phases of an exchange, in the order [`Pipeline`](crate::Pipeline) runs them.
//!
//! A phase is its proof and the function that makes it. The fields of a proof are
//! private, so nothing but its phase constructs one.

use portcullis_config::PluginUseId;

use crate::plugins::{PluginFault, Plugins};
use crate::record::Record;
use crate::rejection::Rejection;

mod authorization;
pub(crate) mod authorize;
pub(crate) mod body;
pub(crate) mod canonical;
pub(crate) mod guard;
pub(crate) mod hold;
pub(crate) mod identity_headers;
pub(crate) mod limit;
pub(crate) mod parameters;
pub(crate) mod preflight;
pub(crate) mod receive;
pub(crate) mod route;
mod scopes;
pub(crate) mod transform_request;
pub(crate) mod transform_response;
pub(crate) mod validate;

/// Notes a fault that the configuration skips; any other refuses the request.
fn skip_or_reject(
    plugins: &impl Plugins,
    plugin: PluginUseId,
    fault: PluginFault,
    record: &mut Record,
) -> Result<(), Rejection> {
    let name = plugins.name(plugin);
    if !plugins.skips_faults(plugin) {
        return Err(Rejection::PluginFault { plugin: name, fault });
    }
    record.skipped.push((name, fault.code()));
    Ok(())
}
