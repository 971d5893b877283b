//! How much a limit lets pass, from the settings.

use portcullis_plugin_sdk::{
    Bucket, FixedWindow, LimitPolicy, Period, SettingsError, SlidingWindow,
};

use crate::settings::{Algorithm, Limit};

/// The policy of the limit that stands at this pointer of the settings.
pub(crate) fn policy(limit: &Limit, pointer: &str) -> Result<LimitPolicy, SettingsError> {
    let at =
        |member: &str, message: &str| SettingsError::at(format!("{pointer}/{member}"), message);
    if limit.limit == 0 {
        return Err(at("limit", "a limit of zero lets nothing pass"));
    }
    if let (Some(_), false) = (limit.burst, limit.algorithm == Algorithm::TokenBucket) {
        return Err(at("burst", "only a token bucket has a burst"));
    }
    let per = limit.per.as_deref();
    if limit.algorithm == Algorithm::InFlight {
        return match per {
            Some(_) => Err(at("per", "places in flight are not counted in a time; remove `per`")),
            None => Ok(LimitPolicy::InFlight(limit.limit)),
        };
    }
    let Some(per) = per else {
        return Err(SettingsError::at(pointer, "`per` is missing: in how long, as `\"1m\"`"));
    };
    let named = match per {
        "day" => Some(Period::Day),
        "week" => Some(Period::Week),
        "month" => Some(Period::Month),
        _ => None,
    };
    let length = || {
        let wrong = "write a time as `\"500ms\"`, `\"10s\"`, `\"15m\"`, `\"1h\"` or `\"1d\"`";
        milliseconds(per).ok_or_else(|| at("per", wrong))
    };
    Ok(match (limit.algorithm, named) {
        (Algorithm::FixedWindow, Some(period)) => {
            LimitPolicy::FixedWindow(FixedWindow { count: limit.limit, period })
        }
        (Algorithm::FixedWindow, None) => {
            let period = Period::LengthMs(length()?);
            LimitPolicy::FixedWindow(FixedWindow { count: limit.limit, period })
        }
        (_, Some(_)) => {
            return Err(at("per", "only a fixed window has periods of the calendar"));
        }
        (Algorithm::SlidingWindow, None) => {
            LimitPolicy::SlidingWindow(SlidingWindow { count: limit.limit, length_ms: length()? })
        }
        (Algorithm::TokenBucket | Algorithm::InFlight, None) => LimitPolicy::Bucket(Bucket {
            count: limit.limit,
            period_ms: length()?,
            burst: limit.burst.unwrap_or(limit.limit),
        }),
    })
}

/// A time as people write it.
fn milliseconds(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let unit = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}
