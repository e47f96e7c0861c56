"""What several plugins share. A plugin's identity covers the modules of this folder that it imports, and no others."""
