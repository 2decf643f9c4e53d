interface FromClient extends Request {
  readonly cf: { readonly httpProtocol: string };
}

/** Plays the app: it tells how it was asked. */
export default {
  fetch(request) {
    const { httpProtocol } = (request as FromClient).cf;
    return new Response(`${request.method} ${new URL(request.url).pathname} over ${httpProtocol}\n`);
  },
} satisfies ExportedHandler;
