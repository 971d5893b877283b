// A person at a real browser: logs in, reloads, logs out, and is asked again. Prints what
// the page said at each step.

const [site, executablePath] = process.argv.slice(1);
const said = await withBrowser(executablePath, async (context) => {
  const page = await context.newPage();
  const text = () => page.locator("body").innerText();
  const said = {};
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
  return said;
});
console.log(JSON.stringify(said));
