"""Values derived from the running pipeline: verdict, episodes, market clock and the state of the source."""
