/** A class that older packages call without `new`, as Node allows for some of its own. */
export function callable<C extends new (...parameters: never[]) => object>(Class: C): C {
  return new Proxy(Class, {
    apply: (target, _self, parameters) => Reflect.construct(target, parameters) as object,
  });
}
