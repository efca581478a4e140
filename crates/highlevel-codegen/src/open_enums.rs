//! Enums that keep undocumented values.
//!
//! A closed enum rejects a whole response because of one new value. So each string enum among the components is replaced
//! by an enum with the documented values as variants, and `Unknown` with the text of any other value.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use serde_json::Value;

use crate::Document;

/// A string enum among the components.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenEnum {
    /// The name of the component and of the Rust type.
    pub name: String,
    /// The description of the component.
    pub description: String,
    /// The values, in the order of the spec.
    pub values: Vec<EnumValue>,
}

/// One documented value of an enum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnumValue {
    /// The value on the wire.
    pub wire: String,
    /// The Rust variant.
    pub variant: String,
}

/// The name of the variant for undocumented values.
pub const UNKNOWN: &str = "Unknown";

/// Returns the string enums among the components, by name.
pub fn find(document: &Document) -> Vec<OpenEnum> {
    document
        .schemas()
        .filter_map(|(name, schema)| {
            let values = schema.get("enum")?.as_array()?;
            Some(OpenEnum {
                name: name.to_owned(),
                description: schema["description"].as_str().unwrap_or_default().to_owned(),
                values: values
                    .iter()
                    .filter_map(Value::as_str)
                    .map(|wire| EnumValue { wire: wire.to_owned(), variant: variant_name(wire) })
                    .collect(),
            })
        })
        .collect()
}

/// Returns the Rust variant for a value: words in camel case, with a `V` in front of a digit.
///
/// Runs of capitals become one word (`SMS` → `Sms`), because that is how Rust writes acronyms.
pub fn variant_name(wire: &str) -> String {
    let mut name = String::new();
    for word in wire.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
        // Digits of neighbouring words would run together: 2021-04-15 is not 20210415.
        let digit = |c: char| c.is_ascii_digit();
        if name.ends_with(digit) && word.starts_with(digit) {
            name.push('_');
        }
        let all_capitals = !word.chars().any(|c| c.is_ascii_lowercase());
        let mut letters = word.chars();
        name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        if all_capitals {
            name.extend(letters.map(|letter| letter.to_ascii_lowercase()));
        } else {
            name.extend(letters);
        }
    }
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("V{name}") } else { name }
}

/// Returns the definition of the Rust type. The macro `open_enum!` of the crate that compiles the source adds the
/// conversions.
pub fn definition(open_enum: &OpenEnum) -> TokenStream {
    let name = Ident::new(&open_enum.name, Span::call_site());
    let description = format!(" {}", open_enum.description);
    let variants: Vec<_> =
        open_enum.values.iter().map(|value| Ident::new(&value.variant, Span::call_site())).collect();
    let wires: Vec<_> = open_enum.values.iter().map(|value| value.wire.as_str()).collect();
    let docs = wires.iter().map(|wire| format!(" `{wire}`"));
    let unknown = Ident::new(UNKNOWN, Span::call_site());
    quote! {
        #[doc = #description]
        #[derive(Clone, Debug)]
        #[non_exhaustive]
        pub enum #name {
            #( #[doc = #docs] #variants, )*
            /// An undocumented value, unchanged.
            #unknown(::std::string::String),
        }

        impl #name {
            /// The documented values.
            pub const KNOWN: &'static [&'static str] = &[#(#wires),*];

            /// Returns the value on the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    #( Self::#variants => #wires, )*
                    Self::#unknown(value) => value,
                }
            }

            fn from_known(value: &str) -> ::std::option::Option<Self> {
                match value {
                    #( #wires => ::std::option::Option::Some(Self::#variants), )*
                    _ => ::std::option::Option::None,
                }
            }
        }

        crate::open_enum::open_enum!(#name);
    }
}
