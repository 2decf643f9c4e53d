const page = `<!doctype html>
<html>
<head><title>Shop</title></head>
<body>
<h1>Shop</h1>
<!-- rendered by host-17 -->
<p>Read <a href="http://shop.internal/terms">our terms</a> and <a href="/help">get help</a>.</p>
<script src="/app.js"></script>
</body>
</html>
`;

/** A page as it comes from an application that knows nothing of the outside. */
export default {
  fetch() {
    return new Response(page, { headers: { "content-type": "text/html; charset=utf-8" } });
  },
} satisfies ExportedHandler;
