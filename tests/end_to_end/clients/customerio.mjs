import { Analytics } from "@customerio/cdp-analytics-node";
import { tellThroughSegmentStyle } from "./segment_style.mjs";

await tellThroughSegmentStyle("customerio", Analytics);
