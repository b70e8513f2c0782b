"""The proof under fire: whole lives on real servers while things break on a seeded schedule, judged by an auditor."""
