//! The tags that mention users in the text of an internal comment: `@Ada<userId>user-1</userId>`.

const OPEN: &str = "<userId>";
const CLOSE: &str = "</userId>";

/// Returns the tag of a user. Angle brackets in the name are left out: they would end the name early.
pub(crate) fn tag(user: &str, name: &str) -> String {
    let name: String = name.trim().chars().filter(|letter| !matches!(letter, '<' | '>')).collect();
    format!("@{name}{OPEN}{user}{CLOSE}")
}

/// Returns the users whose tags a text contains, in order.
pub(crate) fn tagged(text: &str) -> Vec<&str> {
    let ids = text.split(OPEN).skip(1).filter_map(|rest| rest.split_once(CLOSE));
    ids.map(|(user, _)| user.trim()).filter(|user| !user.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_written_and_read() {
        struct Case {
            text: &'static str,
            users: &'static [&'static str],
        }
        assert_eq!(tag("user-1", "Ada"), "@Ada<userId>user-1</userId>");
        assert_eq!(tag("user-1", " <b>Ada</b> L. "), "@bAda/b L.<userId>user-1</userId>");
        for Case { text, users } in [
            Case { text: "", users: &[] },
            Case { text: "call @Ada", users: &[] },
            Case { text: "@Ada<userId>user-1</userId> call", users: &["user-1"] },
            Case { text: "@A<userId>1</userId> and @B<userId> 2 </userId>", users: &["1", "2"] },
            Case { text: "@A<userId></userId>", users: &[] },
            Case { text: "@A<userId>1", users: &[] },
            Case { text: "@A<userId>1 <userId>2</userId>", users: &["2"] },
        ] {
            assert_eq!(tagged(text), users, "{text}");
        }
    }
}
