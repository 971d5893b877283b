// Pages of two origins in a real browser, whose scripts call a gateway. Prints what each
// call came to: what the script could read, or the error that it saw.

const [friend, stranger, gateway, executablePath] = process.argv.slice(1);

async function calls(page, origin) {
  await page.goto(origin, { waitUntil: "domcontentloaded" });
  return page.evaluate(async (gateway) => {
    document.cookie = "session=1";
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
      ordersWithCookies: await call("/orders/1", { headers, credentials: "include" }),
      session: await call("/session", { credentials: "include" }),
      public: await call("/public", { headers: { "x-any": "1" } }),
      publicWithCookies: await call("/public", { credentials: "include" }),
    };
  }, gateway);
}

const said = await withBrowser(executablePath, async (context) => {
  const page = await context.newPage();
  return { friend: await calls(page, friend), stranger: await calls(page, stranger) };
});
console.log(JSON.stringify(said));
