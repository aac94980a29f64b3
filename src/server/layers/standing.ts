import type { Contract } from "../../contract/contract.ts";
import type { ServerLayer } from "../../core/served-call.ts";
import { methodsOf } from "../contract-methods.ts";

/** Notes of calls of methods that resume that their handlers were opened, which may stand and be quiet (rule S5). */
export function standingLayer(contract: Contract): ServerLayer {
  const resuming = methodsOf(contract).filter(({ policy }) => policy.resume);
  const paths = new Set(resuming.map(({ method }) => method.path));
  return {
    unary: (next) => next,
    stream: (next, { path }) => {
      if (!paths.has(path)) return next;
      return (request, context) => {
        context.standing = true;
        return next(request, context);
      };
    },
  };
}
