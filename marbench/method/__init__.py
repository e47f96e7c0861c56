"""Methods: the plugin contract, cards, discovery, requests, weights."""
