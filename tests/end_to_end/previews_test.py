"""docs/previews.md is what `tailrace preview` says now."""

import os
import subprocess
import sys
import unittest

import support


class Previews(unittest.TestCase):
    def test_the_page_is_not_stale(self):
        done = subprocess.run([sys.executable, os.path.join(support.ROOT, "tools", "previews"), "--binary", support.TAILRACE, "--check"],
                              capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_every_ad_platform_is_on_it(self):
        with open(os.path.join(support.ROOT, "docs", "previews.md")) as page:
            text = page.read()
        for folder in sorted(os.listdir(os.path.join(support.ROOT, "src", "destinations"))):
            is_ads = folder.startswith(("meta_", "google_", "tiktok_", "snapchat_", "pinterest_", "linkedin_", "microsoft_", "reddit_", "x_"))
            if is_ads and os.path.exists(os.path.join(support.ROOT, "src", "destinations", folder, f"{folder}.cc")):
                self.assertIn(f"\n## {folder}\n", text)


if __name__ == "__main__":
    unittest.main()
