// A person at a real browser: logs in, reloads, logs out, and is asked again. Prints what
// the page said at each step.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { chromium } from "playwright-core";

const [site, executablePath] = process.argv.slice(1);
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
    // Nothing but this machine: pages of others want fonts.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
  ],
});
context.setDefaultTimeout(120_000);
const page = await context.newPage();
const text = () => page.locator("body").innerText();
const said = {};
try {
  await page.goto(`${site}/orders?x=1`, { waitUntil: "domcontentloaded" });
  await page.fill("input[name=login]", "alice");
  await page.fill("input[name=password]", "any");
  await page.click("button[type=submit]");
  await page.waitForURL(`${site}/orders?x=1`, { waitUntil: "domcontentloaded" });
  said.loggedIn = await text();

  await page.reload({ waitUntil: "domcontentloaded" });
  said.reloaded = await text();
  said.seenByScripts = await page.evaluate("document.cookie");
  said.cookies = (await context.cookies(site)).map((cookie) => cookie.name).filter((name) => name.startsWith("session"));

  // As a page of the site would: a form, sent by its own origin.
  await page.evaluate(() => {
    const form = document.createElement("form");
    form.method = "post";
    form.action = "/oidc/logout";
    document.body.append(form);
    form.submit();
  });
  await page.click("button[name=logout]");
  await page.waitForURL(`${site}/bye`, { waitUntil: "domcontentloaded" });
  said.loggedOut = await text();

  await page.goto(`${site}/orders?x=1`, { waitUntil: "domcontentloaded" });
  await page.waitForSelector("input[name=login]");
  said.askedAgain = !page.url().startsWith(site);
} finally {
  await context.close();
  await rm(profile, { recursive: true, force: true });
}
console.log(JSON.stringify(said));
