import { Analytics } from "@segment/analytics-node";
import { tellThroughSegmentStyle } from "./segment_style.mjs";

await tellThroughSegmentStyle("segment", Analytics);
