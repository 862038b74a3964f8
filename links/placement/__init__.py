"""Which model runs where: on each device, in the cloud they share, or nowhere, predicted by a link."""
