/** Plays shop.test. */
export default {
  fetch(request) {
    const { pathname } = new URL(request.url);
    return new Response(`welcome to ${request.headers.get("host")}${pathname}\n`, {
      headers: { "set-cookie": "tracking=1" },
    });
  },
} satisfies ExportedHandler;
