//! The colour scheme of the pages.

use axum_extra::extract::CookieJar;
use http::HeaderMap;

/// The cookie that stores the theme.
pub(super) const COOKIE: &str = "highlevel-sandbox-theme";
/// The attribute in the templates.
const SYSTEM: &str = "data-theme=\"system\"";

/// The colour scheme of the pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Theme {
    /// That of the operating system.
    #[default]
    System,
    Light,
    Dark,
}

impl Theme {
    /// Returns the theme of the cookie. Invalid values are ignored.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        CookieJar::from_headers(headers)
            .get(COOKIE)
            .and_then(|cookie| Self::named(cookie.value()))
            .unwrap_or_default()
    }

    /// Returns a theme by its name.
    pub(super) fn named(name: &str) -> Option<Self> {
        [Self::System, Self::Light, Self::Dark].into_iter().find(|theme| theme.name() == name)
    }

    /// Returns the name in the cookie and in the templates.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// Sets the theme of a rendered page.
    pub(super) fn apply(self, mut html: String) -> String {
        // The attribute is at the start of the page, before any content.
        if let Some(start) = html.find(SYSTEM).filter(|_| self != Self::System) {
            html.replace_range(start..start + SYSTEM.len(), &format!("data-theme=\"{}\"", self.name()));
        }
        html
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::COOKIE as HEADER;

    use super::*;

    #[test]
    fn only_known_themes_change_the_page() {
        let page = "<html data-theme=\"system\"><p>data-theme=\"system\"</p>";
        let cases = [
            ("", "system"),
            ("highlevel-sandbox-theme=dark", "dark"),
            ("a=b; highlevel-sandbox-theme=light", "light"),
            ("highlevel-sandbox-theme=system", "system"),
            ("highlevel-sandbox-theme=\"><script>", "system"),
            ("other=dark", "system"),
        ];
        for (cookie, expected) in cases {
            let headers = HeaderMap::from_iter([(HEADER, HeaderValue::from_str(cookie).unwrap())]);
            let html = Theme::of(&headers).apply(page.to_owned());
            let expected = format!("<html data-theme=\"{expected}\"><p>data-theme=\"system\"</p>");
            assert_eq!(html, expected, "{cookie}");
        }
    }
}
