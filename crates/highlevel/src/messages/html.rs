//! Plain text as HTML.

/// Returns a text as HTML: its special characters are escaped, and its line breaks are `<br>`.
pub(super) fn from_text(text: &str) -> String {
    let mut html = String::with_capacity(text.len() + text.len() / 8);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            '\r' if letters.peek() == Some(&'\n') => {}
            '\r' | '\n' => html.push_str("<br>\n"),
            other => html.push(other),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped() {
        for (text, html) in [
            ("", ""),
            ("Thank you!", "Thank you!"),
            ("a < b && c > \"d\" + 'e'", "a &lt; b &amp;&amp; c &gt; &quot;d&quot; + &#39;e&#39;"),
            ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
            ("one\ntwo\r\nthree\rfour\n\nfive", "one<br>\ntwo<br>\nthree<br>\nfour<br>\n<br>\nfive"),
            ("&lt; stays as it is written", "&amp;lt; stays as it is written"),
            ("Grüße 👋", "Grüße 👋"),
        ] {
            assert_eq!(from_text(text), html, "{text:?}");
        }
    }
}
