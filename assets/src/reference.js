// An API's reference page: Swagger UI from our own bundle, drawn from the OpenAPI document that the page names.

import SwaggerUI from "swagger-ui-dist/swagger-ui-es-bundle.js";
import "swagger-ui-dist/swagger-ui.css";
import "./reference/page.css";

const references = {
  catalog: "/api/catalog/v1/docs",
  advisor: "/api/advisor/v1/docs",
  checkout: "/api/checkout/v1/docs",
  insight: "/api/insight/v1/docs",
  storefront: "/docs",
  sandbox: "/sandbox/docs",
};
const nav = document.querySelector(".references");
for (const [name, address] of Object.entries(references)) {
  const link = nav.appendChild(document.createElement("a"));
  link.textContent = name;
  link.href = address;
  if (location.pathname === address || location.pathname.endsWith(`/apis/${name}`)) {
    link.setAttribute("aria-current", "page");
  }
}

const place = document.querySelector("[data-openapi]");
SwaggerUI({
  domNode: place,
  url: place.dataset.openapi,
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  // No badge: it would ask a foreign server about this page's address.
  validatorUrl: null,
});
