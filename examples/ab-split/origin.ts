/** Plays both versions of an app; `props` in the config tells which. */
export default {
  fetch(_request, _env, ctx) {
    const { version } = ctx.props as { version: string };
    return new Response(`this is the ${version} version\n`);
  },
} satisfies ExportedHandler;
