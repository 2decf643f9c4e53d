export { http, https } from "../node/http.ts";
