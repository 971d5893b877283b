//! `[listeners.NAME]`.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::{Resolver, address, check_names, files};
use crate::document::{self, Document};
use crate::gateway::{
    Admin, CertificateFiles, ClientCertificate, Listener, ListenerTls, TlsVersion,
};

pub(super) fn listeners(
    document: &Document,
    admin: Option<&Admin>,
    resolver: &mut Resolver<'_>,
) -> Vec<Listener> {
    check_names("a listener", &document.listeners, resolver);
    if document.listeners.entries.is_empty() && document.whole {
        let help = "add `[listeners.public]` with an `address`";
        resolver.problem_with_help(&document.place, "no listener accepts clients", help);
    }
    let mut listeners = Vec::new();
    let mut bound: BTreeMap<SocketAddr, String> = BTreeMap::new();
    if let Some(admin) = admin {
        bound.insert(admin.address, "the admin listener".to_owned());
    }
    for entry in &document.listeners.entries {
        let Some(written) = &entry.value else { continue };
        let Some(address) = address::to_bind(&written.address, resolver) else { continue };
        // Port 0 asks the system for a free one, which is another each time.
        if address.port() != 0 {
            let place = &written.address.place;
            let holder = format!("listener `{}` at {place}", entry.name);
            if let Some(other) = bound.insert(address, holder) {
                resolver.problem(place, format!("`{address}` is already bound by {other}"));
            }
        }
        listeners.push(listener(&entry.name, address, written, resolver));
    }
    listeners
}

fn listener(
    name: &str,
    address: SocketAddr,
    written: &document::Listener,
    resolver: &mut Resolver<'_>,
) -> Listener {
    let tls = written.tls.as_ref().map(|written| tls(written, resolver));
    if let (Some(port), Some(_)) = (&written.redirect_to_https, &written.tls) {
        let message = "a listener with TLS is HTTPS already; only plain ones redirect to it";
        resolver.problem(&port.place, message);
    }
    let port = written.redirect_to_https.as_ref();
    // The reader bounds the number to what a port can be.
    let redirect_to_https = port.and_then(|port| u16::try_from(port.value.0).ok());
    Listener { name: name.to_owned(), address, tls, redirect_to_https }
}

fn tls(written: &document::ListenerTls, resolver: &mut Resolver<'_>) -> ListenerTls {
    let mut certificates = vec![CertificateFiles {
        certificate: files::existing(&written.certificate, resolver),
        key: files::existing(&written.key, resolver),
    }];
    for more in written.more.iter().flatten() {
        certificates.push(CertificateFiles {
            certificate: files::existing(&more.certificate, resolver),
            key: files::existing(&more.key, resolver),
        });
    }
    if let (Some(word), None) = (&written.client_certificate, &written.client_ca) {
        let message = "no client certificate is asked for without a `client_ca` to check it";
        resolver.problem_with_help(&word.place, message, "set `client_ca`, or remove this");
    }
    if let (Some(file), None) = (&written.client_crl, &written.client_ca) {
        let message = "no client certificate is checked without a `client_ca`";
        resolver.problem_with_help(&file.place, message, "set `client_ca`, or remove this");
    }
    ListenerTls {
        certificates,
        client_certificate: match written.client_certificate.as_ref().map(|word| word.value) {
            Some(document::ClientCertificate::Request) => ClientCertificate::Request,
            Some(document::ClientCertificate::Require) | None => ClientCertificate::Require,
        },
        client_crl: written.client_crl.as_ref().map(|file| files::existing(file, resolver)),
        client_ca: written.client_ca.as_ref().map(|file| files::existing(file, resolver)),
        minimum: match written.minimum {
            document::TlsVersion::V1_2 => TlsVersion::V1_2,
            document::TlsVersion::V1_3 => TlsVersion::V1_3,
        },
        http2: written.http2,
    }
}
