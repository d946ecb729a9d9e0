"""What a market does: auctions and their audit."""
