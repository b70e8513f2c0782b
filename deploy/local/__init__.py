"""PostgreSQL, Apache Kafka and the services as child processes of one command, with nothing to install beforehand."""
