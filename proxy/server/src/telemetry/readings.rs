//! Metrics that others keep, read off when somebody asks: endpoints and plugins.

use std::fmt;

use portcullis_limits::LimitReading;
use portcullis_plugin_host::{ImageState, IssuerReading, UseReading};
use portcullis_state::StoreReading;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::current::Running;
use crate::limiting::CommonReading;
use crate::upstream::EndpointHealth;

/// What is read off when somebody asks.
#[derive(Debug)]
pub(super) struct Readings {
    endpoints: Vec<EndpointHealth>,
    plugins: Vec<UseReading>,
    issuers: Vec<IssuerReading>,
    limits: Vec<LimitReading>,
    shared_limits: Option<CommonReading>,
    held_bytes: u64,
    credentials: Option<StoreReading>,
}

impl Readings {
    /// Reads it off now.
    pub(super) fn of(
        current: &Running,
        held_bytes: u64,
        credentials: Option<StoreReading>,
    ) -> Self {
        let endpoints = current.upstreams.health();
        let limits = current.pipeline.limits();
        let (shared_limits, limits) = (limits.common_reading(), limits.readings());
        let plugins = current.pipeline.plugins();
        let (issuers, plugins) = (plugins.issuer_readings(), plugins.readings());
        Self { endpoints, plugins, issuers, limits, shared_limits, held_bytes, credentials }
    }
}

impl Collector for Readings {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let held = ConstGauge::new(i64::try_from(self.held_bytes).unwrap_or(i64::MAX));
        let head = ("held_body_bytes", "Bytes of bodies held in memory");
        held.encode(family(&mut encoder, head, MetricType::Gauge)?)?;
        self.encode_credentials(&mut encoder)?;
        self.encode_endpoints(&mut encoder)?;
        self.encode_plugin_answers(&mut encoder)?;
        self.encode_plugin_durations(&mut encoder)?;
        self.encode_plugin_instances(&mut encoder)?;
        self.encode_limits(&mut encoder)?;
        self.encode_shared_limits(&mut encoder)?;
        self.encode_issuers(&mut encoder)
    }
}

impl Readings {
    fn encode_credentials(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(store) = self.credentials else { return Ok(()) };
        let head = ("credentials", "API keys and access keys known, usable or not");
        let count = u64::try_from(store.credentials).unwrap_or(u64::MAX);
        gauge(&mut family(encoder, head, MetricType::Gauge)?, &[], count)?;
        let head = ("credentials_readable", "Whether the database of credentials can be read");
        let readable = u64::from(store.readable);
        gauge(&mut family(encoder, head, MetricType::Gauge)?, &[], readable)?;
        let head = ("credentials_read", "How often the credentials were read anew");
        counter(&mut family(encoder, head, MetricType::Counter)?, &[], store.version)?;
        let head = ("credentials_unreadable", "How often the database could not be read");
        counter(&mut family(encoder, head, MetricType::Counter)?, &[], store.failures)?;
        let head = ("usage_unwritten", "Requests of usage plans that are not yet written down");
        gauge(&mut family(encoder, head, MetricType::Gauge)?, &[], store.usage.unwritten)?;
        let head = ("usage_write_failures", "How often usage could not be written down");
        counter(&mut family(encoder, head, MetricType::Counter)?, &[], store.usage.failures)
    }

    fn encode_endpoints(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let head = ("upstream_endpoint_healthy", "Whether requests go to an endpoint");
        let mut healthy = family(encoder, head, MetricType::Gauge)?;
        for endpoint in &self.endpoints {
            gauge(
                &mut healthy,
                &labels(endpoint, &address(endpoint)),
                u64::from(endpoint.healthy),
            )?;
        }
        let head = ("upstream_endpoint_requests", "Requests under way at an endpoint");
        let mut active = family(encoder, head, MetricType::Gauge)?;
        for endpoint in &self.endpoints {
            gauge(&mut active, &labels(endpoint, &address(endpoint)), endpoint.active as u64)?;
        }
        Ok(())
    }

    fn encode_plugin_answers(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let head = ("plugin_decisions", "Answers of a plugin, by kind");
        let mut decisions = family(encoder, head, MetricType::Counter)?;
        for plugin in &self.plugins {
            for (kind, count) in &plugin.decisions {
                counter(&mut decisions, &plugin_labels(plugin, ("decision", kind)), *count)?;
            }
        }
        let mut faults =
            family(encoder, ("plugin_faults", "Faults of a plugin, by code"), MetricType::Counter)?;
        for plugin in &self.plugins {
            for (fault, count) in &plugin.faults {
                counter(&mut faults, &plugin_labels(plugin, ("fault", fault)), *count)?;
            }
        }
        self.encode_breakers(encoder)?;
        let mut lines =
            family(encoder, ("plugin_log_lines", "Log lines of a plugin"), MetricType::Counter)?;
        for plugin in &self.plugins {
            let (written, dropped) = plugin.log_lines;
            counter(&mut lines, &plugin_labels(plugin, ("result", "written")), written)?;
            counter(&mut lines, &plugin_labels(plugin, ("result", "dropped")), dropped)?;
        }
        Ok(())
    }

    fn encode_breakers(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let head = ("plugin_breaker_open", "Whether a plugin is out of the path");
        let mut breakers = family(encoder, head, MetricType::Gauge)?;
        for plugin in &self.plugins {
            gauge(&mut breakers, &named(plugin), u64::from(plugin.breaker.is_open))?;
        }
        let head = ("plugin_breaker_opened", "How often a plugin was taken out of the path");
        let mut opened = family(encoder, head, MetricType::Counter)?;
        for plugin in &self.plugins {
            counter(&mut opened, &named(plugin), plugin.breaker.times_opened)?;
        }
        let head =
            ("plugin_breaker_clients", "How often a plugin was taken out of the path of a client");
        let mut clients = family(encoder, head, MetricType::Counter)?;
        for plugin in &self.plugins {
            counter(&mut clients, &named(plugin), plugin.breaker.clients_refused)?;
        }
        Ok(())
    }

    fn encode_plugin_durations(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
    ) -> Result<(), fmt::Error> {
        let head = ("plugin_duration_seconds", "Seconds a call of a plugin took");
        let mut durations = family(encoder, head, MetricType::Histogram)?;
        for plugin in &self.plugins {
            let buckets = single(&plugin.duration_buckets, plugin.duration.0);
            let count = plugin.duration.0;
            let own = named(plugin);
            let mut one = durations.encode_family(&own)?;
            one.encode_histogram::<NoLabelSet>(plugin.duration.1, count, &buckets, None)?;
        }
        Ok(())
    }

    fn encode_plugin_instances(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
    ) -> Result<(), fmt::Error> {
        let head =
            ("plugin_instances_started", "Instances of a plugin, by where they were configured");
        let mut started = family(encoder, head, MetricType::Counter)?;
        for plugin in &self.plugins {
            let (image, configured) = plugin.instances_started;
            counter(&mut started, &plugin_labels(plugin, ("configured", "image")), image)?;
            let label = ("configured", "instance");
            counter(&mut started, &plugin_labels(plugin, label), configured)?;
        }
        let head = ("plugin_image_ready", "Whether instances start from a configured image");
        let mut ready = family(encoder, head, MetricType::Gauge)?;
        for plugin in &self.plugins {
            gauge(&mut ready, &named(plugin), u64::from(plugin.image == ImageState::Ready))?;
        }
        let head = ("plugin_image_pending", "Whether a configured image is still being made");
        let mut pending = family(encoder, head, MetricType::Gauge)?;
        for plugin in &self.plugins {
            gauge(&mut pending, &named(plugin), u64::from(plugin.image == ImageState::Pending))?;
        }
        let head =
            ("plugin_memory_high_water_bytes", "The most memory an instance of a plugin has had");
        let mut memory = family(encoder, head, MetricType::Gauge)?;
        for plugin in &self.plugins {
            gauge(&mut memory, &named(plugin), plugin.memory_high_water)?;
        }
        let mut read = family(
            encoder,
            ("plugin_bytes_read", "Bytes passed to a plugin"),
            MetricType::Counter,
        )?;
        for plugin in &self.plugins {
            counter(&mut read, &named(plugin), plugin.bytes_read)?;
        }
        let head = ("plugin_http_requests", "HTTP requests of a plugin, by what became of them");
        let mut http = family(encoder, head, MetricType::Counter)?;
        for plugin in &self.plugins {
            counter(&mut http, &plugin_labels(plugin, ("outcome", "sent")), plugin.http_calls)?;
            counter(
                &mut http,
                &plugin_labels(plugin, ("outcome", "refused")),
                plugin.http_refused,
            )?;
        }
        Ok(())
    }
}

impl Readings {
    fn encode_limits(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let head = ("limit_keys", "Keys of a limit of which something is held");
        let mut keys = family(encoder, head, MetricType::Gauge)?;
        for limit in &self.limits {
            gauge(&mut keys, &limit_labels(limit), limit.keys as u64)?;
        }
        let head = ("limit_keys_crowded", "How often a key of a limit had to share its count");
        let mut crowded = family(encoder, head, MetricType::Counter)?;
        for limit in &self.limits {
            counter(&mut crowded, &limit_labels(limit), limit.crowded)?;
        }
        Ok(())
    }

    fn encode_shared_limits(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(shared) = self.shared_limits else { return Ok(()) };
        let head = ("shared_limits_up", "Whether the Redis that counts shared limits answers");
        gauge(&mut family(encoder, head, MetricType::Gauge)?, &[], u64::from(shared.up))?;
        let head = ("shared_limits_away", "How often the Redis of shared limits went away");
        counter(&mut family(encoder, head, MetricType::Counter)?, &[], shared.away)?;
        let head = ("shared_limit_charges", "Charges of shared limits, by what counted them");
        let mut charges = family(encoder, head, MetricType::Counter)?;
        for (by, count) in shared.charges {
            counter(&mut charges, &[("by", by)], count)?;
        }
        let head = ("shared_limit_asks", "What Redis was asked, by what became of it");
        let mut asks = family(encoder, head, MetricType::Counter)?;
        for (outcome, count) in shared.asks {
            counter(&mut asks, &[("outcome", outcome)], count)?;
        }
        let head = ("shared_limit_leases", "Keys of shared limits that something is known of");
        gauge(&mut family(encoder, head, MetricType::Gauge)?, &[], shared.leases as u64)
    }

    fn encode_issuers(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let head = ("issuer_keys", "Keys of an issuer that can be used");
        let mut keys = family(encoder, head, MetricType::Gauge)?;
        for reading in &self.issuers {
            gauge(&mut keys, &[("issuer", &reading.issuer)], reading.keys as u64)?;
        }
        let head = ("issuer_refreshes", "Fetches of an issuer's keys, by what became of them");
        let mut refreshes = family(encoder, head, MetricType::Counter)?;
        for reading in &self.issuers {
            for (outcome, count) in
                [("fetched", reading.refreshes.0), ("failed", reading.refreshes.1)]
            {
                let labels = [("issuer", reading.issuer.as_str()), ("outcome", outcome)];
                counter(&mut refreshes, &labels, count)?;
            }
        }
        let head = ("issuer_keys_age_seconds", "Seconds since an issuer's keys were fetched");
        let mut ages = family(encoder, head, MetricType::Gauge)?;
        for reading in &self.issuers {
            if let Some(age) = reading.age_seconds {
                gauge(&mut ages, &[("issuer", &reading.issuer)], age)?;
            }
        }
        Ok(())
    }
}

type Label<'a> = (&'static str, &'a str);

fn family<'e>(
    encoder: &'e mut DescriptorEncoder<'_>,
    (name, help): (&'e str, &str),
    metric_type: MetricType,
) -> Result<MetricEncoder<'e>, fmt::Error> {
    encoder.encode_descriptor(name, help, None, metric_type)
}

fn gauge(
    encoder: &mut MetricEncoder<'_>,
    labels: &[Label<'_>],
    value: u64,
) -> Result<(), fmt::Error> {
    ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX))
        .encode(encoder.encode_family(&labels)?)
}

fn counter(
    encoder: &mut MetricEncoder<'_>,
    labels: &[Label<'_>],
    value: u64,
) -> Result<(), fmt::Error> {
    ConstCounter::new(value).encode(encoder.encode_family(&labels)?)
}

fn labels<'a>(endpoint: &'a EndpointHealth, address: &'a str) -> [Label<'a>; 3] {
    [("upstream", &endpoint.upstream), ("endpoint", &endpoint.endpoint), ("address", address)]
}

fn limit_labels(limit: &LimitReading) -> [Label<'_>; 2] {
    [("scope", &limit.scope), ("policy", &limit.name)]
}

fn address(endpoint: &EndpointHealth) -> String {
    endpoint.address.map(|address| address.to_string()).unwrap_or_default()
}

fn named(plugin: &UseReading) -> [Label<'_>; 2] {
    [("use", &plugin.name), ("plugin", &plugin.plugin)]
}

fn plugin_labels<'a>(plugin: &'a UseReading, own: Label<'a>) -> [Label<'a>; 3] {
    [("use", &plugin.name), ("plugin", &plugin.plugin), own]
}

/// Cumulative buckets as single ones, which the encoder adds up again.
fn single(cumulative: &[(f64, u64)], count: u64) -> Vec<(f64, u64)> {
    let mut before = 0;
    let mut buckets = Vec::with_capacity(cumulative.len() + 1);
    for (bound, reached) in cumulative {
        buckets.push((*bound, reached.saturating_sub(before)));
        before = *reached;
    }
    buckets.push((f64::INFINITY, count.saturating_sub(before)));
    buckets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_added_up_once() {
        let buckets = single(&[(0.1, 2), (0.5, 5)], 6);
        assert_eq!(buckets, [(0.1, 2), (0.5, 3), (f64::INFINITY, 1)]);
    }
}
