//! The JSON form of a fault: a name of the catalogue, or an object with the properties that differ from its `name`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::catalogue;
use super::effect::{Ending, Extent, Fault, FaultBody, MAX_WAIT, Pace};

/// The object form. An absent field has the value of the base.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Form {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    latency_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    /// The length of a generated body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body_bytes: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    raw: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    send: Option<Extent>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trickle: Option<Pace>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    then: Option<Ending>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Name(String),
    Object(serde_json::Map<String, serde_json::Value>),
}

impl Serialize for Fault {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let base = catalogue::named(&self.name);
        if base == Some(self) {
            return serializer.serialize_str(&self.name);
        }
        Form::of(self, base.unwrap_or(&Fault::PLAIN)).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Fault {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Written::deserialize(deserializer)
            .map_err(|_| de::Error::custom("a fault is a string (its name) or an object"))?;
        match written {
            Written::Name(name) => known(&name),
            Written::Object(object) => {
                let form: Form = serde_json::from_value(object.into())
                    .map_err(|error| format!("fault: {error}"))
                    .map_err(de::Error::custom)?;
                form.fault()
            }
        }
        .map_err(de::Error::custom)
    }
}

fn known(name: &str) -> Result<Fault, String> {
    catalogue::named(name).cloned().ok_or_else(|| {
        let names: Vec<&str> = catalogue::all().iter().map(|named| named.fault.name()).collect();
        format!("unknown fault `{name}`; known faults: {}", names.join(", "))
    })
}

impl Form {
    /// Returns the properties that differ from a base.
    fn of(fault: &Fault, base: &Fault) -> Self {
        let mut form = Self {
            name: (base.name == fault.name && fault.name != Fault::PLAIN.name)
                .then(|| fault.name.to_string()),
            latency_ms: None,
            status: fault.status.filter(|_| fault.status != base.status),
            headers: BTreeMap::new(),
            body: None,
            body_bytes: None,
            raw: fault.raw.as_deref().filter(|_| fault.raw != base.raw).map(str::to_owned),
            send: (fault.extent != base.extent).then_some(fault.extent),
            trickle: fault.pace.filter(|_| fault.pace != base.pace),
            then: (fault.ending != base.ending).then_some(fault.ending),
        };
        if fault.latency != base.latency {
            form.latency_ms = u64::try_from(fault.latency.as_millis()).ok();
        }
        if fault.headers != base.headers {
            let pairs = fault.headers.iter().map(|(name, value)| (name.to_string(), value.to_string()));
            form.headers = pairs.collect();
        }
        if fault.body != base.body {
            match &fault.body {
                Some(FaultBody::Text(text)) => form.body = Some(text.to_string()),
                Some(FaultBody::Padding(bytes)) => form.body_bytes = Some(*bytes),
                None => {}
            }
        }
        form
    }

    fn fault(self) -> Result<Fault, String> {
        let mut fault = match self.name.as_deref() {
            Some("custom") | None => Fault::PLAIN,
            Some(name) => known(name)?,
        };
        if let Some(milliseconds) = self.latency_ms {
            fault.latency = checked_wait("latencyMs", milliseconds)?;
        }
        if self.status.is_some() {
            fault.status = self.status;
        }
        for (name, value) in self.headers {
            fault = fault.header(name, value);
        }
        match (self.body, self.body_bytes) {
            (Some(_), Some(_)) => {
                return Err("`body` and `bodyBytes` are mutually exclusive; remove one".to_owned());
            }
            (Some(text), None) => fault.body = Some(FaultBody::Text(Cow::Owned(text))),
            (None, Some(bytes)) => fault.body = Some(FaultBody::Padding(bytes)),
            (None, None) => {}
        }
        if let Some(raw) = self.raw {
            fault.raw = Some(Cow::Owned(raw));
        }
        fault.extent = self.send.unwrap_or(fault.extent);
        fault.ending = self.then.unwrap_or(fault.ending);
        if let Some(pace) = self.trickle {
            if pace.bytes == 0 {
                return Err("trickle.bytes: must be at least 1".to_owned());
            }
            checked_wait("trickle.everyMs", pace.every_ms)?;
            fault.pace = Some(pace);
        }
        Ok(fault)
    }
}

fn checked_wait(field: &str, milliseconds: u64) -> Result<Duration, String> {
    let wait = Duration::from_millis(milliseconds);
    if wait <= MAX_WAIT {
        return Ok(wait);
    }
    Err(format!("{field}: {milliseconds} exceeds {} (ten minutes)", MAX_WAIT.as_millis()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_fault_survives_a_round_trip_through_json() {
        let custom = Fault::status(503)
            .header("retry-after", "2")
            .body("text/plain", "later")
            .after(Duration::from_millis(20))
            .sending(Extent::Body(2))
            .trickling(1, Duration::from_millis(5))
            .ending(Ending::Reset);
        let cases = [
            (Fault::RESET, json!("reset")),
            (Fault::RESET.after(Duration::from_millis(5)), json!({ "name": "reset", "latencyMs": 5 })),
            (Fault::raw("?"), json!({ "raw": "?", "then": "close" })),
            (
                custom,
                json!({
                    "status": 503, "headers": { "retry-after": "2", "content-type": "text/plain" }, "body": "later",
                    "latencyMs": 20, "send": { "body": 2 }, "trickle": { "bytes": 1, "everyMs": 5 }, "then": "reset",
                }),
            ),
        ];
        for (fault, expected) in cases {
            let written = serde_json::to_value(&fault).expect("JSON");
            assert_eq!(written, expected);
            let mut read: Fault = serde_json::from_value(written).expect("a fault");
            // An object has no order.
            let mut fault = fault;
            read.headers.to_mut().sort();
            fault.headers.to_mut().sort();
            assert_eq!(read, fault);
        }
        for named in catalogue::all() {
            let written = serde_json::to_value(named.fault).expect("JSON");
            assert_eq!(written, json!(named.fault.name()));
            assert_eq!(&serde_json::from_value::<Fault>(written).expect("a fault"), named.fault);
            assert_eq!(named.fault.problem(), None, "{}", named.fault.name());
        }
    }

    #[test]
    fn invalid_json_is_rejected_with_its_reason() {
        let cases = [
            (json!("rest"), "unknown fault `rest`; known faults: none, reset,"),
            (json!({ "name": "rest" }), "unknown fault `rest`"),
            (json!(5), "a fault is a string (its name) or an object"),
            (json!({ "latency": 5 }), "unknown field `latency`, expected one of `name`, `latencyMs`"),
            (json!({ "latencyMs": 600_001 }), "latencyMs: 600001 exceeds 600000"),
            (json!({ "trickle": { "bytes": 0, "everyMs": 1 } }), "trickle.bytes: must be at least 1"),
            (
                json!({ "body": "", "bodyBytes": 1 }),
                "`body` and `bodyBytes` are mutually exclusive; remove one",
            ),
        ];
        for (written, expected) in cases {
            let written: Value = written;
            let error = serde_json::from_value::<Fault>(written.clone()).expect_err("no fault").to_string();
            assert!(error.contains(expected), "{written}: {error}");
        }
    }
}
