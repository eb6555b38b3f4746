"""What of the shop's work an engine does. This app is there with ``SHOP_ENGINE=1`` only; see ``run.py --engine``."""
