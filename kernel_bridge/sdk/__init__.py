"""What a person writes in a notebook or a script: images, volumes, secrets."""
