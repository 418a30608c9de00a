import Analytics from "@rudderstack/rudder-sdk-node";
import { tell } from "./story.mjs";

const [name, gzip] = process.argv[4] === "plain" ? ["rudderplain", false] : ["rudderstack", true];
const [dataPlaneUrl, writeKey] = process.argv.slice(2);
const client = new Analytics(writeKey, { dataPlaneUrl, gzip, flushInterval: 200 });
await tell(name, (method, message) =>
  new Promise((resolve, reject) => client[method](message, (error) => (error ? reject(error) : resolve()))),
);
await new Promise((resolve) => client.flush(resolve));
