"""As few settings as will do for an example."""

import os

SECRET_KEY = "not a secret, since this is an example"
DEBUG = True
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
INSTALLED_APPS = ["shop"]
ROOT_URLCONF = "project.urls"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"  # prints what it is to send

GEARMAN_SERVERS = [os.environ.get("GEARMAN_SERVER", "127.0.0.1:4730")]
