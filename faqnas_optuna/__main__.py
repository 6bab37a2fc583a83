"""`python -m faqnas_optuna`."""

from faqnas_optuna.cli import main

if __name__ == "__main__":
    main()
