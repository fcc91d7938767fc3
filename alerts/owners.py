"""Who is called about what. A team here is a name in a notification's grouping, not an address."""

TEAM_OF_SERVICE = {
    "checkout": "selling",
    "sandbox": "selling",
    "catalog": "discovery",
    "advisor": "discovery",
    "storefront": "storefront",
    "insight": "insight",
    "platform": "platform",
}
