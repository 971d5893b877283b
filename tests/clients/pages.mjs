// Pages of two origins in a real browser, whose scripts call a gateway. Prints what each
// call came to: what the script could read, or the error that it saw.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { chromium } from "playwright-core";

const [friend, stranger, gateway, executablePath] = process.argv.slice(1);
const profile = await mkdtemp(join(tmpdir(), "browser-"));
const context = await chromium.launchPersistentContext(profile, {
  executablePath,
  headless: true,
  chromiumSandbox: false,
  timeout: 120_000,
  args: [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
  ],
});
context.setDefaultTimeout(120_000);
const page = await context.newPage();

async function calls(origin) {
  await page.goto(origin, { waitUntil: "domcontentloaded" });
  return page.evaluate(async (gateway) => {
    const call = async (path, options) => {
      try {
        const response = await fetch(`${gateway}${path}`, options);
        return {
          status: response.status,
          id: response.headers.has("x-request-id"),
          hidden: response.headers.has("x-hidden"),
          code: response.ok ? await response.text() : (await response.json()).code,
        };
      } catch (error) {
        return error.name;
      }
    };
    const headers = { authorization: "Bearer alice" };
    return {
      granted: await call("/orders/1", { headers }),
      refused: await call("/orders/1", { headers: { authorization: "Bearer guess" } }),
      sent: await call("/orders/1", { method: "PUT", headers, body: "{}" }),
      otherMethod: await call("/orders/1", { method: "DELETE", headers }),
      otherHeader: await call("/orders/1", { headers: { ...headers, "x-other": "1" } }),
      nowhere: await call("/nowhere", {}),
    };
  }, gateway);
}

const said = {};
try {
  said.friend = await calls(friend);
  said.stranger = await calls(stranger);
} finally {
  await context.close();
  await rm(profile, { recursive: true, force: true });
}
console.log(JSON.stringify(said));
