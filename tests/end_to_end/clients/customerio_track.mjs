// The Track API of Customer.io, through its own client. It speaks HTTPS only, and its port is an option of its own.
import cio from "customerio-node";

const [host, port, siteId, apiKey] = process.argv.slice(2);
const client = new cio.TrackClient(siteId, apiKey, { url: `https://${host}/api/v1`, port: Number(port), rejectUnauthorized: false });
const refused = async (call) => {
  try {
    await call;
  } catch (error) {
    return `${error.statusCode} ${error.message}`;
  }
  throw new Error("it was to be refused");
};

const daysAgo = (days) => Math.floor(Date.now() / 1000) - days * 24 * 60 * 60;
const visitor = "track-visitor";
const ada = "track/ada+1"; // nothing that a path could be split at
await client.trackAnonymous(visitor, { name: "Product Viewed", data: { product_id: "p-1", price: 19.99 } });
await client.identify(ada, { email: "ada.track@example.com", country: "GB", plan: "pro", created_at: daysAgo(30), anonymous_id: visitor });
await client.track(ada, { name: "Order Placed", id: "01HZZZ0000000000000000TEST", timestamp: daysAgo(3), data: { order_id: "o-1", revenue: 20.5, currency: "GBP" } });
// The same ULID: the same event.
await client.track(ada, { name: "Order Placed", id: "01HZZZ0000000000000000TEST", timestamp: daysAgo(3), data: { order_id: "o-1", revenue: 20.5, currency: "GBP" } });
await client.trackPageView(ada, "/pricing");
await client.addDevice(ada, "device/token 1", "ios", { last_used: daysAgo(1), app_version: "2.1" });
await client.deleteDevice(ada, "device/token 1");
// Known by an e-mail alone, and then as one of the people known by an id.
await client.track("lead@example.com", { name: "Cart Started", data: { cart_id: "c-1" } });
await client.mergeCustomers(cio.IdentifierType.Id, ada, cio.IdentifierType.Email, "lead@example.com");
await client.identify("track-bob", { email: "bob.track@example.com" });
await client.suppress("track-bob");
await client.unsuppress("track-bob");
await client.identify("track-cat", { email: "cat.track@example.com" });
await client.destroy("track-cat");
await client.trackPush({ delivery_id: "d-1", event: "opened", device_id: "token", timestamp: daysAgo(0) });
console.log(await refused(client.track(ada, { name: "x", timestamp: "yesterday" })));
const stranger = new cio.TrackClient(siteId, "another", { url: `https://${host}/api/v1`, port: Number(port), rejectUnauthorized: false });
console.log(await refused(stranger.identify("nobody", {})));
