-- Run at every start: what is there already stays.
\set password `cat /etc/notes-password`
SELECT 'CREATE ROLE notes LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'notes') \gexec
ALTER ROLE notes PASSWORD :'password';
SELECT 'CREATE DATABASE notes OWNER notes' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'notes') \gexec
\connect notes
CREATE TABLE IF NOT EXISTS note (id serial PRIMARY KEY, text text NOT NULL);
GRANT SELECT, INSERT ON note TO notes;
GRANT USAGE ON SEQUENCE note_id_seq TO notes;
