export { querystring } from "../node/querystring.ts";
