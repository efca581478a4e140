use serde_json::json;
use crate::description::{edited, run, small, lint, Edit};
use Edit::{Set, Remove};
const L: &str = "/components/schemas/Letter/properties/x";
const R: &str = "/components/schemas/Receipt/properties/x";
#[test]
fn probe() {
    let d = |mut v: serde_json::Value| { v["description"] = json!("d"); v };
    let cases: Vec<(&str, Vec<Edit>)> = vec![
        ("small", vec![]),
        ("trailing comp name IGMessage", vec![Set("/components/schemas/IGMessage", d(json!({"type":"object"}))), ]),
        ("enum name dash", vec![Set("/components/schemas/my-enum", d(json!({"type":"string","enum":["a"]})))]),
        ("enum name IGKind", vec![Set("/components/schemas/IGKind", d(json!({"type":"string","enum":["a"]}))), Set(L, json!({"$ref":"#/components/schemas/IGKind"}))]),
        ("struct IGMessage used", vec![Set("/components/schemas/IGMessage", d(json!({"type":"object","required":["a"],"properties":{"a":{"type":"string","description":"d"}}}))), Set(L, json!({"$ref":"#/components/schemas/IGMessage"}))]),
        ("variant Self", vec![Set("/components/schemas/Channel/enum", json!(["self"]))]),
        ("empty enum", vec![Set("/components/schemas/Channel/enum", json!([]))]),
        ("nested inline request", vec![Set(L, d(json!({"type":"object","properties":{"a":{"type":"string","description":"d"}}})))]),
        ("inline body", vec![Set("/paths/~1letters/post/requestBody/content/application~1json/schema", json!({"type":"object","description":"d","required":["a"],"properties":{"a":{"type":"string","description":"d"}}}))]),
        ("inline answer", vec![Set("/components/responses/Sent/content/application~1json/schema", json!({"type":"object","description":"d","properties":{"a":{"type":"string","description":"d"}}}))]),
        ("allOf single", vec![Set(L, d(json!({"allOf":[{"$ref":"#/components/schemas/LetterId"}]})))]),
        ("allOf two", vec![Set("/components/schemas/Both", d(json!({"allOf":[{"$ref":"#/components/schemas/Letter"},{"$ref":"#/components/schemas/Refusal"}]}))), Set(L, json!({"$ref":"#/components/schemas/Both"}))]),
        ("title like comp", vec![Set(L, d(json!({"type":"object","title":"LetterId","additionalProperties":{"type":"string"}})))]),
        ("title like comp union", vec![Set("/components/schemas/OneOrMany/oneOf/0/title", json!("LetterId"))]),
        ("component param", vec![Set("/components/parameters/Limit", json!({"name":"limit","in":"query","schema":{"type":"integer","format":"int64"}})), Set("/paths/~1letters/post/parameters/-", json!({"$ref":"#/components/parameters/Limit"}))]),
        ("inline param", vec![Set("/paths/~1letters/post/parameters/-", json!({"name":"limit","in":"query","schema":{"type":"integer","format":"int64"}}))]),
        ("path-level version", vec![Set("/paths/~1letters/parameters", json!([{"$ref":"#/components/parameters/Version"}])), Remove("/paths/~1letters/post/parameters")]),
        ("alias comp", vec![Set("/components/schemas/Alias", json!({"$ref":"#/components/schemas/LetterId","description":"d"})), Set(L, json!({"$ref":"#/components/schemas/Alias"}))]),
        ("ref to property", vec![Set(L, json!({"$ref":"#/components/schemas/Letter/properties/text"}))]),
        ("ref root", vec![Set(L, json!({"$ref":"#"}))]),
        ("ref to info", vec![Set(L, json!({"$ref":"#/info"}))]),
        ("ref response to schema", vec![Set("/paths/~1letters/post/responses/200", json!({"$ref":"#/components/schemas/Receipt"})),Remove("/paths/~1letters/post/responses/201")]),
        ("extra prop", vec![Set(R, json!({"type":"string","description":"d"})), Set("/components/schemas/Receipt/properties/extra", json!({"type":"string","description":"d"}))]),
        ("odd prop", vec![Set("/components/schemas/Letter/properties/@", json!({"type":"string","description":"d"}))]),
        ("empty prop", vec![Set("/components/schemas/Letter/properties/", json!({"type":"string","description":"d"}))]),
        ("opid snake dup", vec![Set("/paths/~1other", json!({"get":{"operationId":"send_letter","responses":{"200":{"$ref":"#/components/responses/Sent"}}}}))]),
        ("opid new", vec![Set("/paths/~1letters/post/operationId", json!("new"))]),
        ("opid empty", vec![Set("/paths/~1letters/post/operationId", json!(""))]),
        ("uuid", vec![Set(L, json!({"type":"string","format":"uuid","description":"d"}))]),
        ("date", vec![Set(L, json!({"type":"string","format":"date","description":"d"}))]),
        ("uri", vec![Set(L, json!({"type":"string","format":"uri","description":"d"}))]),
        ("min1", vec![Set(L, json!({"type":"integer","minimum":1,"description":"d"}))]),
        ("number min", vec![Set(R, json!({"type":"number","minimum":1,"description":"d"}))]),
        ("unique", vec![Set(R, json!({"type":"array","uniqueItems":true,"nullable":true,"items":{"type":"string"},"description":"d"}))]),
        ("no type props", vec![Remove("/components/schemas/Receipt/type"),Remove("/components/schemas/Receipt/additionalProperties")]),
        ("map", vec![Set(R, json!({"type":"object","additionalProperties":{},"description":"d"}))]),
        ("map nullable", vec![Set(R, json!({"type":"object","additionalProperties":{},"nullable":true,"description":"d"}))]),
        ("untyped", vec![Set(R, json!({"description":"d"}))]),
        ("recursive", vec![Set(L, json!({"$ref":"#/components/schemas/Letter"}))]),
        ("oneOf objects", vec![Set("/components/schemas/OneOrMany/oneOf", json!([{"$ref":"#/components/schemas/LetterId"},{"$ref":"#/components/schemas/Refusal"}]))]),
        ("name dup pascal", vec![Set("/components/schemas/letterRead", d(json!({"type":"string"})))]),
        ("Self name", vec![Set("/components/schemas/Self", d(json!({"type":"string","enum":["a"]})))]),
        ("enum array items in param", vec![]),
        ("multipart", vec![Set("/components/responses/Refused/content", json!({"text/html":{"schema":{"type":"string"}}}))]),
        ("header param", vec![Set("/paths/~1letters/post/parameters/-", json!({"name":"X-Foo","in":"header","schema":{"type":"string"}}))]),
        ("204 only", vec![Set("/paths/~1letters/post/responses", json!({"204":{"description":"x"}}))]),
        ("Error name", vec![Set("/components/schemas/Option", d(json!({"type":"string"})))]),
        ("Error named", vec![Set("/components/schemas/Error", d(json!({"type":"string"}))), Set(L, json!({"$ref":"#/components/schemas/Error"}))]),
        ("get body", vec![]),
        ("x_ schema list", vec![Set("/components/schemas/Letter/required", json!("channel"))]),
        ("not keyword", vec![Set(L, d(json!({"not":{"type":"string"}})))]),
        ("writeOnly", vec![Set(L, d(json!({"type":"string","writeOnly":true})))]),
        ("string nullable req", vec![Set(L, d(json!({"type":"string","nullable":true})))]),
        ("required ref nullable sibling", vec![Set("/components/schemas/Receipt/properties/id", json!({"$ref":"#/components/schemas/LetterId","nullable":true}))]),
    ];
    for (name, edits) in cases {
        let doc = edited(&edits);
        let _ = small; let l = lint(doc.clone());
        let out = std::panic::catch_unwind(|| run(&doc));
        println!("##### {name}\n  lint: {}", l.map_or_else(|e| e.to_string(), |()| "clean".into()));
        match out {
            Err(_) => println!("   PANIC"),
            Ok(Err(e)) => println!("   run: {e}"),
            Ok(Ok(o)) => {
                let base = run(&small()).map(|o| o.outline).unwrap_or_default();
                for line in o.outline.lines() { if !base.lines().any(|b| b == line) { println!("   + {line}"); } }
                if o.source.contains("Not described") { println!("   NOT DESCRIBED"); }
            }
        }
    }
}
