// What a customer does, told through a client. `call(method, message)` resolves when the client says the message arrived.
// Everything is prefixed with the client's name, so that several clients can tell it to the same server.

const daysAgo = (days) => new Date(Date.now() - days * 24 * 60 * 60 * 1000);

export async function tell(name, call) {
  const id = (suffix) => `${name}-${suffix}`;
  const visitor = id("visitor");
  const ada = id("ada");
  const lead = id("lead");

  const told = [
    // Before anybody knows who it is.
    call("page", { anonymousId: visitor, category: "Docs", name: "Pricing", properties: { plan: "gold", seats: 12 } }),
    call("track", { anonymousId: visitor, event: "Product Viewed", properties: { product_id: "p-1", price: 19.99 } }),
    call("track", { anonymousId: visitor, event: "Product Viewed", properties: { product_id: "p-2", price: 5 } }),
    call("identify", {
      userId: ada,
      anonymousId: visitor,
      traits: { email: `Ada.${name}@Example.com`, country: "GB", city: "Zürich 🛶", loyalty: { points: 1200, gold: true } },
    }),
    call("track", {
      userId: ada,
      event: "Completed Order",
      timestamp: daysAgo(3),
      properties: {
        order_id: id("order"),
        revenue: 20.5,
        currency: "GBP",
        products: [
          { name: "Cake case", category: "baking supplies", price: 0.55 },
          { name: "Teapot", category: "kitchen", price: 19.95 },
        ],
      },
    }),
    call("screen", { userId: ada, name: "Basket", properties: { items: 2 } }),
    call("group", { userId: ada, groupId: id("company"), traits: { plan: "enterprise", employees: 42 } }),
    // Somebody known under another id, who turns out to be the same person.
    call("track", { userId: lead, event: "Cart Started", properties: { cart_id: id("cart") } }),
    call("alias", { userId: ada, previousId: lead }),
  ];
  // More than fits into one request of any of the clients, from a person whose id is a number.
  for (let view = 1; view <= 50; ++view) {
    told.push(call("track", { userId: id("77"), event: "Product Viewed", properties: { product_id: `p-${view}`, price: view / 100 } }));
  }
  await Promise.all(told);
  console.log(`${told.length} calls`);
}
