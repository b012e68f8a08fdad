"""The classifier that tells opacity from vessels, airways and borders: simulated lesions, features, fit."""
