//! Enums that keep values which this version does not know.

use highlevel_codegen::Document;
use highlevel_codegen::open_enums::{EnumValue, OpenEnum, definition, find, variant_name};
use serde_json::json;

use crate::description::small;

#[test]
fn variants_have_valid_unique_names() {
    let cases = [
        ("SMS", "Sms"),
        ("sms", "Sms"),
        ("Email", "Email"),
        ("no-answer", "NoAnswer"),
        ("reply_all", "ReplyAll"),
        ("WhatsApp", "WhatsApp"),
        ("VoiceMail", "VoiceMail"),
        ("InternalComment", "InternalComment"),
        ("Live_Chat", "LiveChat"),
        ("Live Chat", "LiveChat"),
        ("IVR_Call", "IvrCall"),
        ("ALL_IN_ONE_CHAT", "AllInOneChat"),
        ("TIKTOK", "Tiktok"),
        ("24h", "V24h"),
        ("v3", "V3"),
        ("2021-04-15", "V2021_04_15"),
        ("1", "V1"),
        ("1.5", "V1_5"),
        ("step1-done", "Step1Done"),
        ("mp3_4", "Mp3_4"),
        ("__init__", "Init"),
        ("a--b", "AB"),
        ("application/json", "ApplicationJson"),
        ("type", "Type"),
        ("über", "Ber"),
        ("", ""),
        ("-", ""),
        ("é", ""),
    ];
    for (wire, expected) in cases {
        assert_eq!(variant_name(wire), expected, "{wire}");
        if !expected.is_empty() {
            syn::parse_str::<syn::Ident>(expected).unwrap_or_else(|error| panic!("{expected}: {error}"));
        }
    }
}

fn value(wire: &str, variant: &str) -> EnumValue {
    EnumValue { wire: wire.to_owned(), variant: variant.to_owned() }
}

#[test]
fn all_enums_are_found() {
    let channel = OpenEnum {
        name: "Channel".to_owned(),
        description: "A channel.".to_owned(),
        values: vec![value("SMS", "Sms"), value("Live_Chat", "LiveChat")],
    };
    let edition = OpenEnum {
        name: "Edition".to_owned(),
        description: "An edition.".to_owned(),
        values: vec![value("v1", "V1"), value("v2", "V2")],
    };
    assert_eq!(find(&Document::new(small())), [channel, edition]);
    assert_eq!(find(&Document::new(json!({}))), []);
}

#[test]
fn the_definition_is_valid_rust() {
    let cases = [
        ("none", vec![]),
        ("one", vec![value("Call", "Call")]),
        ("odd", vec![value("2021-04-15", "V2021_04_15"), value("a\"b\\c", "ABC"), value("`", "Tick")]),
    ];
    for (name, values) in cases {
        let tokens = definition(&OpenEnum {
            name: "Kind".into(),
            description: "A \"kind\".".into(),
            values: values.clone(),
        });
        let file: syn::File = syn::parse2(tokens).unwrap_or_else(|error| panic!("{name}: {error}"));
        let variants = file.items.iter().find_map(|item| match item {
            syn::Item::Enum(item) => {
                Some(item.variants.iter().map(|v| v.ident.to_string()).collect::<Vec<_>>())
            }
            _ => None,
        });
        let mut expected: Vec<String> = values.into_iter().map(|value| value.variant).collect();
        expected.push("Unknown".to_owned());
        assert_eq!(variants, Some(expected), "{name}");
        assert!(
            matches!(file.items.last(), Some(syn::Item::Macro(last)) if last.mac.path.segments.last().is_some_and(|s| s.ident == "open_enum")),
            "{name}: the conversions are missing"
        );
    }
}
