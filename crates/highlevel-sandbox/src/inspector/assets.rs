//! Style sheet, scripts and icon, embedded in the program.

use std::fmt::Write;
use std::sync::LazyLock;

use sha2::{Digest, Sha256};

pub(super) struct Asset {
    name: &'static str,
    pub(super) media_type: &'static str,
    pub(super) body: &'static [u8],
}

static ASSETS: [Asset; 6] = [
    Asset {
        name: "inspector.css",
        media_type: "text/css; charset=utf-8",
        body: concat!(
            include_str!("assets/style/base.css"),
            include_str!("assets/style/conversations.css"),
            include_str!("assets/style/layout.css"),
            include_str!("assets/style/deliveries.css"),
            include_str!("assets/style/contacts.css"),
            include_str!("assets/style/connect.css"),
            include_str!("assets/style/requests.css"),
            include_str!("assets/style/simulation.css"),
        )
        .as_bytes(),
    },
    Asset {
        name: "inspector.js",
        media_type: "text/javascript; charset=utf-8",
        body: concat!(
            include_str!("assets/script/base.js"),
            include_str!("assets/script/list.js"),
            include_str!("assets/script/title.js"),
            include_str!("assets/script/display.js"),
        )
        .as_bytes(),
    },
    Asset {
        name: "htmx.js",
        media_type: "text/javascript; charset=utf-8",
        body: include_bytes!("assets/htmx-4.0.1.min.js"),
    },
    Asset {
        name: "htmx-LICENSE.txt",
        media_type: "text/plain; charset=utf-8",
        body: include_bytes!("assets/htmx-LICENSE.txt"),
    },
    Asset { name: "icon.svg", media_type: "image/svg+xml", body: include_bytes!("assets/icon.svg") },
    Asset {
        name: "icon-failures.svg",
        media_type: "image/svg+xml",
        body: include_bytes!("assets/icon-failures.svg"),
    },
];

/// A hash of all assets. It is part of their URLs, so that browsers can cache them forever.
pub(super) fn version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| {
        let mut hash = Sha256::new();
        for asset in &ASSETS {
            hash.update(asset.body);
        }
        hash.finalize().iter().take(6).fold(String::new(), |mut version, byte| {
            // Writing to a string cannot fail.
            let _ = write!(version, "{byte:02x}");
            version
        })
    });
    &VERSION
}

/// Returns an asset by its file name.
pub(super) fn find(name: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.name == name)
}
