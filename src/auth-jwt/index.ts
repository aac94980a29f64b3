export { jwt } from "./jwt.ts";
export type { Claims, JwtOptions } from "./jwt-options.ts";
