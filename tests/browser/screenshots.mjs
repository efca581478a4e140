// Generates docs/images: tests/browser/run screenshots
import { mkdir, writeFile } from "node:fs/promises";
import { deflateSync, inflateSync } from "node:zlib";

import { live, openPage, startBrowser } from "./support/browser.mjs";
import { tell } from "./support/story.mjs";

const folder = new URL("../../docs/images/", import.meta.url).pathname;
await mkdir(folder, { recursive: true });
const [browser, story] = await Promise.all([startBrowser(), tell()]);

const narrow = { viewport: { width: 360, height: 740 } };
const dark = { colorScheme: "dark" };
const images = [
  ["conversations", `/conversations/${story.contact}`],
  ["requests", `/requests/${story.refused}`],
  ["deliveries", `/deliveries/${story.delivery}`],
  ["controls", "/controls"],
  ["requests-dark", `/requests/${story.twice}`, dark],
  ["conversations-narrow", `/conversations/${story.contact}`, narrow],
];
for (const [name, path, options] of images) {
  const page = await openPage(browser, story.sandbox.ui + path, { colorScheme: "light", ...options });
  await live(page);
  const frame = page.locator("iframe").first();
  if (await frame.count()) {
    await frame.scrollIntoViewIfNeeded();
    await (await (await frame.elementHandle()).contentFrame()).waitForLoadState();
    await page.locator("[data-scroll=end]").evaluate((thread) => (thread.scrollTop = thread.scrollHeight));
  }
  await writeFile(`${folder}inspector-${name}.png`, smaller(await page.screenshot({ animations: "disabled" })));
  if (page.problems.length > 0) throw new Error(`${path}: ${page.problems.join("; ")}`);
  await page.context().close();
  console.log(`docs/images/inspector-${name}.png`);
}
await browser.close();
await story.stop();

/**
 * Reduces an image to its 256 most important colours. The others, on the edges of letters, are replaced by the closest
 * ones. This reduces the size to a third.
 */
function smaller(png) {
  const chunks = [];
  for (let at = 8; at < png.length; at += 12 + png.readUInt32BE(at)) {
    chunks.push({ type: png.toString("latin1", at + 4, at + 8), data: png.subarray(at + 8, at + 8 + png.readUInt32BE(at)) });
  }
  const header = Buffer.from(chunks[0].data);
  const [width, height, size] = [header.readUInt32BE(0), header.readUInt32BE(4), header[9] === 6 ? 4 : 3];
  const bytes = unfiltered(inflateSync(Buffer.concat(chunks.filter(({ type }) => type === "IDAT").map(({ data }) => data))), width * size, height, size);
  const colour = (at) => (bytes[at] << 16) | (bytes[at + 1] << 8) | bytes[at + 2];
  const counts = new Map();
  for (let at = 0; at < bytes.length; at += size) counts.set(colour(at), (counts.get(colour(at)) ?? 0) + 1);
  const distance = (one, other) => [16, 8, 0].reduce((sum, shift) => sum + (((one >> shift) & 255) - ((other >> shift) & 255)) ** 2, 0);
  // The most frequent colours first, then those with the largest error, so that small coloured dots are preserved.
  const rest = [...counts].sort(([one, many], [other, more]) => more - many || one - other);
  const palette = rest.splice(0, 64).map(([value]) => value);
  const missing = rest.map(([value, count]) => ({ value, count, off: Math.min(...palette.map((each) => distance(each, value))) }));
  while (palette.length < 256 && missing.length > 0) {
    const next = missing.reduce((worst, each) => (each.off * each.count > worst.off * worst.count ? each : worst));
    palette.push(next.value);
    for (const each of missing) each.off = Math.min(each.off, distance(each.value, next.value));
  }
  const indices = new Map(palette.map((value, index) => [value, index]));
  const nearest = (value) => {
    if (!indices.has(value)) indices.set(value, palette.reduce((best, each, index) => (distance(each, value) < distance(palette[best], value) ? index : best), 0));
    return indices.get(value);
  };
  const lines = Buffer.alloc((width + 1) * height);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) lines[y * (width + 1) + 1 + x] = nearest(colour((y * width + x) * size));
  }
  header[9] = 3;
  const parts = [
    ["IHDR", header],
    ["PLTE", Buffer.from(palette.flatMap((value) => [value >> 16, (value >> 8) & 255, value & 255]))],
    ["IDAT", deflateSync(lines, { level: 9, memLevel: 9 })],
    ["IEND", Buffer.alloc(0)],
  ].flatMap(([type, data]) => {
    const named = Buffer.concat([Buffer.from(type, "latin1"), data]);
    const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(data.length);
    sum.writeUInt32BE(crc32(named));
    return [length, named, sum];
  });
  return Buffer.concat([png.subarray(0, 8), ...parts]);
}

/** Returns the checksum of a chunk: CRC-32 of RFC 1952, which Node.js 18 does not provide. */
function crc32(bytes) {
  let sum = ~0;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit += 1) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
  }
  return ~sum >>> 0;
}

/** Returns the bytes of the pixels, with the PNG filters removed. */
function unfiltered(lines, length, height, size) {
  const bytes = Buffer.alloc(length * height);
  for (let y = 0; y < height; y += 1) {
    const filter = lines[y * (length + 1)];
    for (let x = 0; x < length; x += 1) {
      const left = x < size ? 0 : bytes[y * length + x - size];
      const up = y === 0 ? 0 : bytes[(y - 1) * length + x];
      const corner = x < size || y === 0 ? 0 : bytes[(y - 1) * length + x - size];
      const [a, b, c] = [Math.abs(up - corner), Math.abs(left - corner), Math.abs(left + up - 2 * corner)];
      const paeth = a <= b && a <= c ? left : b <= c ? up : corner;
      bytes[y * length + x] = lines[y * (length + 1) + 1 + x] + [0, left, up, (left + up) >> 1, paeth][filter];
    }
  }
  return bytes;
}
