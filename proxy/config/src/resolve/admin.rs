//! The listener for operators.

use super::{Resolver, address, api, files};
use crate::document::{self, Document, Text};
use crate::gateway::{Admin, HostPattern};
use crate::read::Either;

pub(super) fn admin(document: &Document, resolver: &mut Resolver<'_>) -> Option<Admin> {
    match &document.admin {
        Either::This(document::Off::Off) => None,
        Either::That(table) => {
            let hosts = table.hosts.iter().flatten();
            let hosts = hosts.filter_map(|written| host(written, resolver)).collect();
            let address = address::to_bind(&table.address, resolver)?;
            let token = table.token.as_ref().and_then(|token| files::admin_token(token, resolver));
            Some(Admin { address, hosts, token })
        }
    }
}

fn host(written: &Text, resolver: &mut Resolver<'_>) -> Option<String> {
    match api::host(written, resolver)? {
        HostPattern::Exact(host) => Some(host),
        HostPattern::Wildcard(_) => {
            let message = format!("`{}` is no host of the admin listener", written.value);
            let help = "name each host: whoever controls one name of a pattern could pass for it";
            resolver.problem_with_help(&written.place, message, help);
            None
        }
    }
}
