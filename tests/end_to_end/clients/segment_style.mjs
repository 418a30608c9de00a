// The clients of Segment and of Customer.io are told apart by their package alone.
import { tell } from "./story.mjs";

export async function tellThroughSegmentStyle(name, Analytics) {
  const [host, writeKey] = process.argv.slice(2);
  const client = new Analytics({ writeKey, host, flushInterval: 200 });
  const errors = [];
  client.on("error", (error) => errors.push(error));
  const call = (method, message) =>
    new Promise((resolve, reject) => client[method](message, (error) => (error ? reject(error) : resolve())));
  await tell(name, call);
  await client.closeAndFlush();
  if (errors.length > 0) throw new Error(JSON.stringify(errors));
}
